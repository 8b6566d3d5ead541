"""Losses on groups that are simple enough to check by hand; yamls in tests/toy_conf/loss."""

from typing import Annotated

import torch
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss, PairLogps, PairLoss


def squares(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    scale: Annotated[float, "> 0", "nats per score"],
) -> GroupLoss:
    """Regress every log-ratio on its score, centred in its group.

    loss_g = mean over completions of (log-ratio - scale * (score - mean score of g)) ** 2
    """
    ratio_C = groups.logp_C - ref_groups.logp_C
    mean_G = _mean(group_labels.score_C, groups)
    wanted_C = scale * (group_labels.score_C - mean_G[groups.group_C])
    return GroupLoss(_mean((ratio_C - wanted_C) ** 2, groups), ratio_C.detach())


def likely(groups: GroupLogps, group_labels: GroupLabels) -> GroupLoss:
    """Imitate in proportion to the score; no reference."""
    return GroupLoss(_mean(-groups.logp_C * group_labels.score_C, groups), groups.logp_C.detach())


def mismatched(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    mismatch_logratio_G: Tensor,
    *,
    scale: Annotated[float, "> 0", "nats per score"],
) -> GroupLoss:
    """As KTO: log-ratios over what another prompt's answers have, towards right or wrong."""
    assert not mismatch_logratio_G.requires_grad
    assert group_labels.right_C is not None
    ratio_C = groups.logp_C - ref_groups.logp_C
    level_G = mismatch_logratio_G.clamp(min=0)
    sign_C = torch.where(group_labels.right_C, 1.0, -1.0)
    value_C = torch.sigmoid(scale * sign_C * (ratio_C - level_G[groups.group_C]))
    return GroupLoss(_mean(1 - value_C, groups), ratio_C.detach())


def _mean(value_C: Tensor, groups: GroupLogps) -> Tensor:
    sum_G = value_C.new_zeros(groups.groups).index_add(0, groups.group_C, value_C)
    return sum_G / torch.bincount(groups.group_C, minlength=groups.groups)


def towards_start(pairs: PairLogps, ref_pairs: PairLogps, start_pairs: PairLogps) -> PairLoss:
    """As INPO: the target is a mixture of the reference and the policy that entered the round."""
    held_B = 0.5 * (ref_pairs.chosen_B + start_pairs.chosen_B)
    held_B = held_B - 0.5 * (ref_pairs.rejected_B + start_pairs.rejected_B)
    gap_B = pairs.chosen_B - pairs.rejected_B - held_B
    half_B = gap_B.detach() / 2
    return PairLoss((gap_B - 1) ** 2, half_B, -half_B)
