"""The extremes: the pair of DPO-R1, and of every best-of-N pipeline with a grading judge."""

from collections.abc import Sequence

from align_cli.pairing.contrast import in_order, pair, score
from align_cli.rows import Judged, Pair


def best_worst(siblings: Sequence[Judged]) -> list[Pair]:
    """The highest score over the lowest, first index on ties; no pair where all scores are equal.

    One pair a prompt. Source: Online-DPO-R1 (RLHFlow, dpo_iteration/run_dpo.py, `max_min`).

    Scores alone decide. A judge that tells two kinds of wrong apart (-0.5 with a boxed answer, -1
    without) makes pairs of two wrong answers; pairing=first_right_first_wrong does not.
    """
    ordered = in_order(siblings)
    if not ordered:
        return []
    # max and min return the first of equals, and `ordered` is by index.
    chosen, rejected = max(ordered, key=score), min(ordered, key=score)
    return [pair(chosen, rejected)] if score(chosen) > score(rejected) else []
