"""APO-zero without pairs: right answers up, wrong ones down, each for itself."""

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.settings import Beta
from align_cli.loss.verdicts import SideWeight, apart, log_ratios_of, rights_of


def apo_zero_unpaired(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    beta: Beta,
    desirable_weight: SideWeight,
    undesirable_weight: SideWeight,
) -> GroupLoss:
    """Make right answers likelier than under the reference, and wrong ones less likely.

        u    = log(policy / reference) of an answer                     [nats]
        loss = mean over the group of  desirable_weight (1 - sigmoid(beta u))    right
                                       undesirable_weight sigmoid(beta u)        wrong

    KTO with the reference point at 0: no answer to another prompt is scored for it, and groups do
    not see each other. Siblings are not compared, so a group may be of one verdict
    (pairing=all_siblings).

    Settings:
        beta: inverse temperature; larger saturates earlier.
        desirable_weight, undesirable_weight: of right and of wrong answers.

    Source: D'Oosterlinck et al. 2024, arXiv:2408.06266, eq. 7, each term for itself.
    """
    right_C = rights_of(group_labels, "apo_zero_unpaired")
    reward_C = beta * log_ratios_of(groups, ref_groups)
    loss_G = apart(
        reward_C,
        right_C,
        groups,
        cost="value",
        desirable_weight=desirable_weight,
        undesirable_weight=undesirable_weight,
    )
    return GroupLoss(loss_G, reward_C.detach())
