"""Pairwise losses on every ordered pair of a group, weighted: all-pairs DPO, LiPO, TPO."""

from typing import Annotated

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.links import LINKS, LinkName
from align_cli.loss.outer import OUTERS, OuterName
from align_cli.loss.pair_weights import PAIR_WEIGHTS, PairWeightName, RankedByName
from align_cli.loss.parts import Assembly
from align_cli.loss.reduction import ReductionName
from align_cli.loss.settings import Beta, Clip, Scale, Smoothing
from align_cli.loss.siblings import REDUCTIONS, above, gaps, side_by_side


def ranked_pairs(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    beta: Beta,
    pair_weight: PairWeightName,
    link: LinkName = "reverse_kl",
    reduction: ReductionName = "sum",
    outer: OuterName = "logistic",
    score_scale: Scale = None,
    ranked_by: RankedByName | None = None,
    label_smoothing: Smoothing = None,
    exponent_clip: Clip = None,
    alpha: Annotated[float | None, "(0, 1]", "1"] = None,
    target_margin: Annotated[float | None, ">= 0", "1"] = None,
    modulation_tau: Annotated[float | None, "(0, 1]", "1"] = None,
) -> GroupLoss:
    """Make any completion's implicit reward exceed those of its siblings that score lower.

        z_i  = beta s(l_i),  l = reduction(log(policy / reference))      s: the link
        loss = sum over pairs with score_i > score_j of w_ij phi(z_i - z_j)

        pair_weight  w_ij                                                       known as
        equal        1 / number of such pairs                                   all-pairs DPO
        lambda       |2^(k s_i) - 2^(k s_j)| |1/log2(1+rank_i) - 1/log2(1+rank_j)|  LiPO, TPO

    Two siblings give DPO, times the weight. Ties are no pairs; a group of tied scores has loss 0
    and no gradient. link, reduction and outer (phi) are those of `pairwise`.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        pair_weight: how much a pair counts.
        score_scale: k of pair_weight=lambda, the judge's scores to gains.
        ranked_by: of pair_weight=lambda: policy (its present order, as in LambdaLoss) | score.
        label_smoothing, exponent_clip, alpha, target_margin, modulation_tau: as in `pairwise`.

    Source: Liu et al. 2024, arXiv:2402.01878 (LiPO); Liao et al. 2024, arXiv:2410.12854 (TPO).
    """
    parts = Assembly(
        beta=beta,
        score_scale=score_scale,
        ranked_by=ranked_by,
        label_smoothing=label_smoothing,
        exponent_clip=exponent_clip,
        alpha=alpha,
        target_margin=target_margin,
        modulation_tau=modulation_tau,
    )
    score = parts.part("link", link, LINKS)
    reduce = parts.part("reduction", reduction, REDUCTIONS)
    phi = parts.part("outer", outer, OUTERS)
    weighed = parts.part("pair_weight", pair_weight, PAIR_WEIGHTS)
    parts.close("beta")
    siblings = side_by_side(groups, ref_groups, group_labels)
    reward_GK = beta * score(reduce(siblings.log_ratio_GK, siblings))
    beaten_GKK = above(siblings.score_GK, siblings.share_GK)
    # Gaps that are no pair are set to 0 before phi, so that none overflows there unseen.
    margin_GKK = gaps(reward_GK).where(beaten_GKK, 0)
    weight_GKK = weighed(reward_GK.detach(), beaten_GKK, siblings)
    loss_G = (weight_GKK * phi(margin_GKK)).sum((1, 2))
    return GroupLoss(loss_G, siblings.table.gather(reward_GK.detach()))
