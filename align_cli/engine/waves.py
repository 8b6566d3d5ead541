"""Draws -> waves: rows decoded together, of one sampling rule and of similar prompt length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from align_cli.engine.sampling import Rule
from align_cli.errors import RowError
from align_cli.rows import Draw


@dataclass(frozen=True, slots=True)
class Request:
    """One draw, as the decoder sees it."""

    place: int
    """Its position among the draws asked for."""
    prompt_id: str
    prompt: tuple[int, ...]
    key: int
    """Of its stream of uniforms."""
    rule: Rule
    limit: int
    """Most tokens it may emit: max_new_tokens, or what the model's window leaves."""


def requests(
    draws: Sequence[Draw],
    prompt_ids: Sequence[tuple[int, ...]],
    keys: Sequence[int],
    *,
    window: int,
) -> list[Request]:
    """One request per draw, in order; a prompt that leaves no room for an answer is an error."""
    made = []
    for place, (draw, prompt, key) in enumerate(zip(draws, prompt_ids, keys, strict=True)):
        if not prompt:
            raise RowError(f"prompt {draw.prompt_id} encodes to no token; a model needs one")
        if len(prompt) >= window:
            raise RowError(
                f"prompt {draw.prompt_id} is {len(prompt)} tokens long and the model's window "
                f"{window}: no room for an answer; drop or shorten it, or use a model with a "
                "longer window"
            )
        decoding = draw.decoding
        rule = Rule(decoding.temperature, decoding.top_p, decoding.top_k)
        limit = min(decoding.max_new_tokens, window - len(prompt))
        made.append(Request(place, draw.prompt_id, prompt, key, rule, limit))
    return made


def waves(wanted: Sequence[Request], *, rows: int, mixes_lengths: bool) -> Iterator[list[Request]]:
    """Cut requests into waves of at most `rows`, sorted by prompt so that siblings are neighbours.

    One rule a wave; one prompt length a wave too unless the model's cache mixes lengths. Waves of
    a kind are of equal size: a small last one would take as many steps as a large one.
    """

    def kind(request: Request) -> tuple[float, float, int, int]:
        rule = request.rule
        length = 0 if mixes_lengths else len(request.prompt)
        return (rule.temperature, rule.top_p, rule.top_k, length)

    def order(request: Request) -> tuple[object, ...]:
        return (kind(request), len(request.prompt), request.prompt)

    for _, group in groupby(sorted(wanted, key=order), key=kind):
        together = list(group)
        count = -(-len(together) // rows)
        cuts = [len(together) * number // count for number in range(count + 1)]
        for start, end in pairwise(cuts):
            yield together[start:end]
