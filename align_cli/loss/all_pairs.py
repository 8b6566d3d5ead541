"""Relative rewards of a whole group: every difference of scores is a regression target."""

from typing import Annotated

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.links import LINKS, LinkName
from align_cli.loss.parts import Assembly
from align_cli.loss.reduction import ReductionName
from align_cli.loss.settings import Beta, Clip
from align_cli.loss.siblings import REDUCTIONS, centred, mean, side_by_side


def all_pairs(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    beta: Beta,
    score_scale: Annotated[float, "> 0", "1/score unit"],
    link: LinkName = "reverse_kl",
    reduction: ReductionName = "sum",
    exponent_clip: Clip = None,
    alpha: Annotated[float | None, "(0, 1]", "1"] = None,
) -> GroupLoss:
    """Make the implicit rewards of any two siblings differ as their scores do.

        z_i  = beta s(l_i),  l = reduction(log(policy / reference))      s: the link
        loss = mean over pairs i < j of ((z_i - z_j) - score_scale (score_i - score_j))^2

    For two siblings this is `scored` with scores=offset and outer=square: reward distillation
    (beta: that of the leash, scale 1) or REBEL (beta 1, scale the step). Ties are pairs too: equal
    scores ask for equal rewards, so that a tied group is held together, not left alone.

    Computed as 2 size / (size - 1) times the variance of z - score_scale score, which is the same.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        score_scale: scores to the unit of the rewards.
        link, reduction, exponent_clip, alpha: as in `pairwise`.
    """
    parts = Assembly(beta=beta, score_scale=score_scale, exponent_clip=exponent_clip, alpha=alpha)
    score = parts.part("link", link, LINKS)
    reduce = parts.part("reduction", reduction, REDUCTIONS)
    parts.close("beta", "score_scale")
    siblings = side_by_side(groups, ref_groups, group_labels)
    reward_GK = beta * score(reduce(siblings.log_ratio_GK, siblings))
    error_GK = reward_GK - score_scale * siblings.score_GK
    size_G = (siblings.share_GK > 0).to(error_GK.dtype).sum(1)
    variance_G = mean(centred(error_GK, siblings.share_GK) ** 2, siblings.share_GK)
    loss_G = 2 * size_G / (size_G - 1) * variance_G
    return GroupLoss(loss_G, siblings.table.gather(reward_GK.detach()))
