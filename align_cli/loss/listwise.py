"""Plackett-Luce: the likelihood of the judge's whole ranking, best to worst."""

import torch
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.reduction import ReductionName
from align_cli.loss.settings import Beta, Weight
from align_cli.loss.siblings import (
    REDUCTIONS,
    Siblings,
    above,
    gaps,
    mean,
    per_token,
    side_by_side,
)


def listwise(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    beta: Beta,
    reduction: ReductionName = "sum",
) -> GroupLoss:
    """Make the implicit rewards rank a prompt's completions as the judge does.

        z    = beta reduction(log(policy / reference)) of a completion
        loss = -sum_i log( exp(z_i) / (exp(z_i) + sum of exp(z_j) over s_j < s_i) )

    Each completion against all that score lower: for scores without ties this is the Plackett-Luce
    likelihood, and for two siblings DPO. Ties are not compared; a group of tied scores has loss 0
    and no gradient. The sum is over the ranks, so a longer list counts more.

    Settings:
        beta: inverse temperature of the leash.
        reduction: sum | per_token, of the log-ratio.

    Source: Rafailov et al. 2023, arXiv:2305.18290, appendix A.3. **Reconstruction**: what is done
    with ties.
    """
    siblings = side_by_side(groups, ref_groups, group_labels)
    reward_GK = beta * REDUCTIONS[reduction](siblings.log_ratio_GK, siblings)
    return GroupLoss(plackett_luce(reward_GK, siblings), siblings.table.gather(reward_GK.detach()))


def ranking(
    groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    beta: Beta,
    reduction: ReductionName,
    regulariser_weight: Weight = None,
) -> GroupLoss:
    """Make the policy's own log-probs rank a prompt's completions as the judge does.

        z    = beta reduction(log policy) of a completion; no reference
        loss = -sum_i log( exp(z_i) / (exp(z_i) + sum of exp(z_j) over s_j < s_i) )
               - regulariser_weight times the mean log-prob per token of the best

    Ties are not compared. The best completion is also imitated (all of them, where the best tie),
    so a group of tied scores still has a gradient.

    Settings:
        beta: scale of the log-probs.
        reduction: sum | per_token.
        regulariser_weight: of the imitation; null leaves it out.

    Source: Song et al. 2023, arXiv:2306.17492 (PRO). **Reconstruction**: without the temperatures
    that the paper takes from gaps between scores.
    """
    siblings = side_by_side(groups, None, group_labels)
    reward_GK = beta * REDUCTIONS[reduction](siblings.logp_GK, siblings)
    loss_G = plackett_luce(reward_GK, siblings)
    if regulariser_weight:
        per_token_GK = per_token(siblings.logp_GK, siblings)
        loss_G = loss_G - regulariser_weight * mean(per_token_GK, best_of(siblings))
    return GroupLoss(loss_G, siblings.table.gather(reward_GK.detach()))


def plackett_luce(reward_GK: Tensor, siblings: Siblings) -> Tensor:
    """[G]: sum over i of log(1 + sum over lower-scored j of exp(z_j - z_i))."""
    beaten_GKK = above(siblings.score_GK, siblings.share_GK)
    # 1 = exp(0) stands for i itself: its own gap, always in the sum.
    itself_KK = torch.eye(reward_GK.shape[1], dtype=torch.bool, device=reward_GK.device)
    behind_GKK = (-gaps(reward_GK)).where(beaten_GKK | itself_KK, -torch.inf)
    return torch.logsumexp(behind_GKK, 2).sum(1)


def best_of(siblings: Siblings) -> Tensor:
    """[G, K]: even shares among the completions of the highest score."""
    score_GK, share_GK = siblings.score_GK, siblings.share_GK
    beaten_GK = above(score_GK, share_GK).any(1)
    best_GK = ((share_GK > 0) & ~beaten_GK).to(share_GK.dtype)
    return best_GK / best_GK.sum(1, keepdim=True)
