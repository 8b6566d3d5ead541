"""BCO, unpaired: a classifier of right and wrong answers whose logit is the implicit reward."""

import torch
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.settings import Beta
from align_cli.loss.verdicts import SideWeight, apart, log_ratios_of, rights_of

COUPLES_GROUPS = True
"""A group's loss depends on the others that are computed with it."""


def bco_unpaired(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    beta: Beta,
    desirable_weight: SideWeight,
    undesirable_weight: SideWeight,
) -> GroupLoss:
    """Make the implicit reward tell right answers from wrong ones, about a moving threshold.

        r     = beta log(policy / reference) of an answer
        delta = (mean r of the right answers + mean r of the wrong ones) / 2, over the batch
        loss  = mean over the group of  -desirable_weight log sigmoid(r - delta)       right
                                        -undesirable_weight log sigmoid(delta - r)     wrong

    delta carries no gradient; where the batch has one verdict only, it is that side's mean.
    **Batch form**: in the paper delta is a running mean, a state that goes on from step to step;
    here each batch has its own. **Couples groups** by it: make schedule.micro_batch_size equal to
    schedule.batch_size. `bco_pair` is the form with pairs and delta = 0.

    Settings:
        beta: inverse temperature of the leash.
        desirable_weight, undesirable_weight: of right and of wrong answers.

    Source: Jung et al. 2024, arXiv:2404.04656. **Reconstruction**: the batch form, and the mean of
    the two sides where an implementation may take that of all answers; the paper's weights that
    correct a shift between the two sides' prompts are not needed for siblings.
    """
    right_C = rights_of(group_labels, "bco_unpaired")
    reward_C = beta * log_ratios_of(groups, ref_groups)
    loss_G = apart(
        reward_C - threshold(reward_C.detach(), right_C),
        right_C,
        groups,
        cost="classifier",
        desirable_weight=desirable_weight,
        undesirable_weight=undesirable_weight,
    )
    return GroupLoss(loss_G, reward_C.detach())


def threshold(reward_C: Tensor, right_C: Tensor) -> Tensor:
    """Midway between the mean rewards of right and wrong answers; of what there is."""
    sides = [side.mean() for side in (reward_C[right_C], reward_C[~right_C]) if len(side)]
    return torch.stack(sides).mean()
