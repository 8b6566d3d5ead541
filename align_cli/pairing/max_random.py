"""The best over chance: the pair that asks whether the worst makes a better opponent."""

from collections.abc import Sequence

from align_cli.pairing.contrast import drawn, in_order, pair, score
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def max_random(siblings: Sequence[Judged], seed: int) -> list[Pair]:
    """The highest score over one drawn uniformly from all with a lower score.

    One pair a prompt, first index among the best; none where all scores are equal. Source:
    Online-DPO-R1 (RLHFlow, dpo_iteration/run_dpo.py, `max_random`); that one of equal score is
    never drawn is this project's tie rule.
    """
    ordered = in_order(siblings)
    if not ordered:
        return []
    chosen = max(ordered, key=score)
    lower = [one for one in ordered if score(one) < score(chosen)]
    return [pair(chosen, lower[drawn(seed, len(lower))])] if lower else []
