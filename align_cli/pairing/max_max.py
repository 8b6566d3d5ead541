"""The best over the runner-up: the hardest preference that the scores allow at the top."""

from collections.abc import Sequence

from align_cli.pairing.contrast import in_order, pair, score
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def max_max(siblings: Sequence[Judged]) -> list[Pair]:
    """The highest score over the next lower one, first index on ties.

    One pair a prompt; none where all scores are equal. With scores 0 and 1 it is best_worst.
    Source: Online-DPO-R1 (RLHFlow, dpo_iteration/run_dpo.py, `max_max`), reconstruction: the
    runner-up is the highest of the strictly lower scores, so that a tie is never a preference.
    """
    ordered = in_order(siblings)
    if not ordered:
        return []
    chosen = max(ordered, key=score)
    lower = [one for one in ordered if score(one) < score(chosen)]
    return [pair(chosen, max(lower, key=score))] if lower else []
