"""Any contrast: the control that shows what choosing the extremes is worth."""

from collections.abc import Sequence

from align_cli.pairing.contrast import contrasts, drawn, in_order, pair
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def random(siblings: Sequence[Judged], seed: int) -> list[Pair]:
    """One pair drawn uniformly from all (i, j) with score_i > score_j; none where scores are equal.

    With scores 0 and 1 it is a uniformly drawn right answer over a uniformly drawn wrong one, and
    the same prompts give a pair as under best_worst: the two rules differ in the pair alone.
    """
    found = contrasts(in_order(siblings))
    return [pair(*found[drawn(seed, len(found))])] if found else []
