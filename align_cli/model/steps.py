"""Where the steps of an answer end, in tokens."""

from bisect import bisect_right
from collections.abc import Sequence

from align_cli.model.language_model import LanguageModel


def step_ends(
    model: LanguageModel, token_ids: Sequence[int], end: str, *, before: str | None = None
) -> tuple[int, ...]:
    """Ascending counts of tokens: the first so many end with a whole step.

    A step ends with the token that completes the text `end`, so that steps are whole tokens: where
    a token holds more than that text, its step does too. What follows the last one is a step only
    by its own end, and is not counted here.

    The token that the text `before` first begins in, where that is given and found, is the first
    of a step of its own: the one before it ends a step.

        "7+8=15;15-3=12#12" by characters, end ";"                ->  (7,)
                                           end ";", before "#"    ->  (7, 15)
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
    begins = None if before is None else _begins(model, token_ids, before)
    return tuple(sorted({*found, begins} if begins else found))


def _begins(model: LanguageModel, token_ids: Sequence[int], text: str) -> int | None:
    """How many tokens come before the one that `text` first begins in; None if it is not there."""
    place = model.decode(token_ids).find(text)
    if place < 0:
        return None
    # The longest beginning whose text does not reach into what is looked for.
    counts = range(len(token_ids))
    return bisect_right(counts, place, key=lambda n: len(model.decode(token_ids[:n]))) - 1
