"""What becomes of siblings of one score: nothing, unless a preference is asked for by name."""

from collections.abc import Sequence
from typing import Literal

from align_cli.pairing.contrast import drawn
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def broken(
    tied: Sequence[Judged], seed: int, ties: Literal["drop", "first", "shorter", "random"]
) -> list[Pair]:
    """At most one pair of margin 0 out of siblings of one score, in order of index.

    drop     none: a tie is no preference
    first    the lowest index over the next one
    shorter  the fewest tokens over the most, lowest index on equal lengths; none if all are equal
    random   two different ones, uniformly
    """
    if ties == "drop" or len(tied) < 2:
        return []
    if ties == "first":
        return [tied_pair(tied[0], tied[1])]
    if ties == "shorter":
        shortest, longest = min(tied, key=_length), max(tied, key=_length)
        return [tied_pair(shortest, longest)] if _length(shortest) < _length(longest) else []
    chosen = drawn(seed, len(tied))
    others = [one for place, one in enumerate(tied) if place != chosen]
    return [tied_pair(tied[chosen], others[drawn(seed, len(others), step=1)])]


def _length(one: Judged) -> int:
    return len(one.completion.token_ids)


def tied_pair(chosen: Judged, rejected: Judged) -> Pair:
    """A preference between equals, which only who asked for it by name may make."""
    return Pair(
        prompt_id=chosen.completion.prompt_id,
        chosen=chosen.completion.index,
        rejected=rejected.completion.index,
        margin=0.0,
        kind=chosen.completion.kind,
        tied=True,
    )
