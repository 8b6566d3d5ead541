"""The extremes after a price on length: against judges and losses that drift to long answers."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.pairing.contrast import contrasts, in_order, pair, score
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def length_penalised(
    siblings: Sequence[Judged], *, penalty: Annotated[float, ">= 0", "score units/token"]
) -> list[Pair]:
    """The widest gap of p_i = score_i - penalty * tokens_i among all (i, j) with score_i > score_j.

    One pair a prompt, lowest indices on equal gaps; none where all scores are equal or where no
    better answer is still better after the penalty. With penalty 0 it is best_worst.

    Source: Online-DPO-R1 (RLHFlow, dpo_iteration/run_dpo.py, `max_min_p`), and LMFlow, which
    count characters. Reconstruction: a penalty never turns a preference round, it only chooses
    among those that the scores support.

    Settings:
        penalty: the price of one token, at least 0.
    """

    def penalised(one: Judged) -> float:
        return score(one) - penalty * len(one.completion.token_ids)

    def gap(contrast: tuple[Judged, Judged]) -> float:
        return penalised(contrast[0]) - penalised(contrast[1])

    found = [each for each in contrasts(in_order(siblings)) if gap(each) > 0]
    return [pair(*max(found, key=gap))] if found else []
