"""Any contrast: the control that shows what choosing the extremes is worth."""

from collections.abc import Sequence

import numpy as np

from align_cli.pairing.contrast import in_order, pair, score
from align_cli.rows import Judged, Pair
from align_cli.seeds import uniforms


def random(siblings: Sequence[Judged], seed: int) -> list[Pair]:
    """One pair drawn uniformly from all (i, j) with score_i > score_j; none where scores are equal.

    With scores 0 and 1 it is a uniformly drawn right answer over a uniformly drawn wrong one, and
    the same prompts give a pair as under best_worst: the two rules differ in the pair alone.
    """
    ordered = in_order(siblings)
    contrasts = [
        (better, worse) for better in ordered for worse in ordered if score(better) > score(worse)
    ]
    if not contrasts:
        return []
    uniform = uniforms(np.array([seed], dtype=np.uint64), 0)[0]
    return [pair(*contrasts[int(uniform * len(contrasts))])]
