"""KTO: each answer against a reference point, right ones above it and wrong ones below."""

from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.reduction import wide
from align_cli.loss.settings import Beta
from align_cli.loss.verdicts import SideWeight, apart, log_ratios_of, rights_of

COUPLES_GROUPS = True
"""A group's loss depends on the others that are computed with it."""


def kto(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    mismatch_logratio_G: Tensor,
    *,
    beta: Beta,
    desirable_weight: SideWeight,
    undesirable_weight: SideWeight,
) -> GroupLoss:
    """Make right answers likelier and wrong ones less likely than the policy's drift explains.

        u    = log(policy / reference) of an answer                          [nats]
        z    = max(0, mean over the batch of log(policy / reference) of a mismatched answer)
        loss = mean over the group of  desirable_weight (1 - sigmoid(beta (u - z)))    right
                                       undesirable_weight (1 - sigmoid(beta (z - u)))  wrong

    z estimates KL(policy || reference) from an answer to another prompt under each prompt; it
    carries no gradient. **Couples groups** by it: computed over what is computed at once, so the
    loss depends on schedule.micro_batch_size; make it equal to schedule.batch_size.

    Answers are not compared with their siblings, so a group may be of one verdict, or of one answer
    (pairing=all_siblings). The paper wants desirable_weight times the right answers between 1 and
    4/3 of undesirable_weight times the wrong ones.

    Settings:
        beta: inverse temperature; larger saturates earlier.
        desirable_weight, undesirable_weight: of right and of wrong answers.

    Source: Ethayarajh et al. 2024, arXiv:2402.01306, eq. 7. TRL takes the mean over all
    answers of the batch, we over each group's: alike where groups are of one size.
    """
    right_C = rights_of(group_labels, "kto")
    reward_C = beta * log_ratios_of(groups, ref_groups)
    drift = wide(mismatch_logratio_G.detach()).mean().clamp(min=0).to(reward_C.dtype)
    loss_G = apart(
        reward_C - beta * drift,
        right_C,
        groups,
        cost="value",
        desirable_weight=desirable_weight,
        undesirable_weight=undesirable_weight,
    )
    return GroupLoss(loss_G, reward_C.detach())
