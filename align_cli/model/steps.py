"""Where the steps of an answer end, in tokens."""

from collections.abc import Sequence

from align_cli.model.language_model import LanguageModel


def step_ends(model: LanguageModel, token_ids: Sequence[int], end: str) -> tuple[int, ...]:
    """Ascending counts of tokens: the first so many end with a whole step.

    A step ends with the token that completes the text `end`, so that steps are whole tokens: where
    a token holds more than that text, its step does too. What follows the last one is a step only
    by its own end, and is not counted here.

        "7+8=15;15-3=12#12" by characters, end ";"  ->  (7,)
    """
    last = end.rstrip(" ")[-1:]
    alone = {token: model.decode((token,)) for token in set(token_ids)} if last else {}
    found: list[int] = []
    start = 0
    for place, token in enumerate(token_ids, 1):
        # A token that lacks its last letter completes no such text; most are told apart so.
        if last not in alone.get(token, last):
            continue
        if end in model.decode(token_ids[start:place]):
            found.append(place)
            start = place
    return tuple(found)
