"""Pair weights: how much the pair (i, j) of siblings counts, score i above score j; detached."""

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from align_cli.errors import RowError
from align_cli.loss.parts import Part
from align_cli.loss.siblings import Siblings, gaps

PairWeightName = Literal["equal", "lambda"]
RankedByName = Literal["policy", "score"]


def equal(reward_GK: Tensor, beaten_GKK: Tensor, siblings: Siblings) -> Tensor:
    """1 / number of the group's ordered pairs: the mean."""
    count_G11 = beaten_GKK.sum((1, 2), keepdim=True).clamp(min=1)
    return beaten_GKK / count_G11.to(reward_GK.dtype)


def lambdas(
    reward_GK: Tensor,
    beaten_GKK: Tensor,
    siblings: Siblings,
    *,
    score_scale: float,
    ranked_by: RankedByName,
) -> Tensor:
    """|2^(k s_i) - 2^(k s_j)| |1/log2(1 + rank_i) - 1/log2(1 + rank_j)|: what a swap costs in DCG.

    The pairs are summed. Rank 1 is the best; by the policy's implicit reward, ties in it as the
    judge ranks (at the reference all are tied), or by the judge's score. Those that are tied in
    both share a rank, so that the order in which completions come means nothing.
    """
    gain_GK = torch.exp2(score_scale * siblings.score_GK)
    if not bool(torch.isfinite(gain_GK).all()):
        raise RowError(
            f"loss.score_scale: got {score_scale}, and 2^(score_scale score) overflows at score "
            f"{float(siblings.score_GK.max())}; give a smaller loss.score_scale"
        )
    discount_GK = 1 / torch.log2(1 + ranks(reward_GK, siblings, ranked_by))
    return (gaps(gain_GK) * gaps(discount_GK)).abs() * beaten_GKK


def ranks(reward_GK: Tensor, siblings: Siblings, ranked_by: RankedByName) -> Tensor:
    """[G, K]: 1 + how many siblings come before; places in padding are ranked too, for nothing."""
    there_GK = siblings.share_GK > 0
    ahead_GKK = gaps(siblings.score_GK) < 0
    if ranked_by == "policy":
        lead_GKK = gaps(reward_GK.detach())
        ahead_GKK = (lead_GKK < 0) | ((lead_GKK == 0) & ahead_GKK)
    return 1 + (ahead_GKK & there_GK.unsqueeze(1)).sum(2).to(reward_GK.dtype)


PAIR_WEIGHTS: Final[Mapping[str, Part]] = {"equal": equal, "lambda": lambdas}
