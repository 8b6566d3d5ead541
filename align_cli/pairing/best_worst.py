"""The extremes: the pair of DPO-R1, and of every best-of-N pipeline with a grading judge."""

from collections.abc import Sequence
from typing import Literal

from align_cli.pairing.contrast import in_order, pair, score
from align_cli.pairing.ties import broken
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def best_worst(
    siblings: Sequence[Judged],
    seed: int = 0,
    *,
    ties: Literal["drop", "first", "shorter", "random"] = "drop",
) -> list[Pair]:
    """The highest score over the lowest, first index on ties; no pair where all scores are equal.

    One pair a prompt. Source: Online-DPO-R1 (RLHFlow, dpo_iteration/run_dpo.py, `max_min`).

    Scores alone decide. A judge that tells two kinds of wrong apart (-0.5 with a boxed answer, -1
    without) makes pairs of two wrong answers; pairing=first_right_first_wrong does not.

    Settings:
        ties: what becomes of siblings that all have one score: no pair (drop), or, only where it
            is asked for by name, a pair of margin 0 that is marked as tied and chosen by order of
            drawing (first), by fewer tokens (shorter) or by chance (random).
    """
    ordered = in_order(siblings)
    if not ordered:
        return []
    # max and min return the first of equals, and `ordered` is by index.
    chosen, rejected = max(ordered, key=score), min(ordered, key=score)
    if score(chosen) > score(rejected):
        return [pair(chosen, rejected)]
    return broken(ordered, seed, ties)
