"""Some of all contrasts: more than one pair a prompt, and no prompt beyond its share."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.pairing.contrast import contrasts, drawn, in_order, pair
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def k_pairs(
    siblings: Sequence[Judged],
    seed: int,
    *,
    k: Annotated[int, ">= 1", "pairs"],
    disjoint: bool,
) -> list[Pair]:
    """At most k pairs, drawn uniformly without replacement from all (i, j) with score_i > score_j.

    With k = 1 it is pairing=random. A prompt with fewer contrasts gives all of them.

    Settings:
        k: pairs of one prompt at most.
        disjoint: whether a completion is in one pair at most; each draw is then from the
            contrasts whose both sides are unused.
    """
    left = contrasts(in_order(siblings))
    found: list[Pair] = []
    while left and len(found) < k:
        better, worse = left.pop(drawn(seed, len(left), step=len(found)))
        found.append(pair(better, worse))
        if disjoint:
            used = {better.completion.index, worse.completion.index}
            left = [each for each in left if used.isdisjoint(one.completion.index for one in each)]
    return found
