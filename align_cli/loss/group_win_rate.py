"""Regression of each completion's log-ratio on how well it does among its siblings."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import torch
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.parts import Assembly, Part
from align_cli.loss.settings import Beta
from align_cli.loss.siblings import Siblings, centred, gaps, mean, side_by_side

TargetName = Literal["probability", "count", "score"]


def probability(siblings: Siblings, *, score_scale: float) -> Tensor:
    """Mean over the others of sigmoid(k (score_i - score_j)), less 1/2."""
    return _against_the_others(torch.sigmoid(score_scale * gaps(siblings.score_GK)), siblings)


def count(siblings: Siblings) -> Tensor:
    """Share of the others that score lower, half of those that score the same, less 1/2."""
    return _against_the_others((1 + torch.sign(gaps(siblings.score_GK))) / 2, siblings)


def score(siblings: Siblings, *, score_scale: float) -> Tensor:
    """k (score_i - mean score): as far as the siblings stand for all that the policy says."""
    return score_scale * centred(siblings.score_GK, siblings.share_GK)


def _against_the_others(won_GKK: Tensor, siblings: Siblings) -> Tensor:
    """Mean of what is won against each other sibling, less 1/2."""
    there_GK = (siblings.share_GK > 0).to(won_GKK.dtype)
    others_G1 = there_GK.sum(1, keepdim=True) - 1
    # A completion against itself is even, 1/2, and is taken out again.
    rate_GK = ((won_GKK * there_GK.unsqueeze(1)).sum(2) - 0.5) / others_G1
    return (rate_GK - 0.5) * there_GK


TARGETS: Final[Mapping[str, Part]] = {"probability": probability, "count": count, "score": score}


def group_win_rate(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    beta: Beta,
    target: TargetName,
    score_scale: Annotated[float | None, "> 0", "1/score unit"] = None,
) -> GroupLoss:
    """Move each completion's log-ratio to its advantage over the policy, judged by its siblings.

        u    = log(policy / reference)                       [nats]
        loss = mean over the group of (u - t / beta)^2       [nats^2]

        target       t                                                 known as
        probability  mean over the others of sigmoid(k (s_i - s_j)) - 1/2  SPPO, soft
        count        share of the others beaten (ties: half) - 1/2         SPO's self-play win rate
        score        k (s_i - mean s)                                      GPO on preference scores

    Each completion for itself: the group only sets its target. Two siblings give half of `win_rate`
    at the same settings, which sums over the pair. A group of tied scores has t = 0: it is held
    at the reference. target=score is OPO's log form with drive=advantage and mu = beta, up to
    a factor mu/2 and a constant.

    The reference is the policy that drew the completions: schedule.reference=previous.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature; 1 / beta is the step in nats per unit of advantage.
        target: what an advantage is.
        score_scale: k, which makes the judge's score differences log-odds.

    Source: Wu et al. 2024, arXiv:2405.00675 (SPPO); Swamy et al. 2024, arXiv:2401.04056 (SPO);
    Zhang et al. 2024, arXiv:2410.02197 (GPO). **Reconstruction**: the mean leaves the completion
    itself out, and a step of regression follows SPO's reward.
    """
    parts = Assembly(beta=beta, score_scale=score_scale)
    aimed = parts.part("target", target, TARGETS)
    parts.close("beta")
    siblings = side_by_side(groups, ref_groups, group_labels)
    log_ratio_GK = siblings.log_ratio_GK
    loss_G = mean((log_ratio_GK - aimed(siblings) / beta) ** 2, siblings.share_GK)
    return GroupLoss(loss_G, siblings.table.gather(beta * log_ratio_GK.detach()))
