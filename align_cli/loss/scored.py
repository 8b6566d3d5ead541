"""Pairwise losses that look at how much better the judge found the chosen answer."""

from typing import Annotated

from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.loss.links import LINKS, LinkName
from align_cli.loss.outer import OUTERS, OuterName
from align_cli.loss.parts import Assembly
from align_cli.loss.reduction import REDUCTIONS, ReductionName, log_ratios, wide
from align_cli.loss.regularisers import REGULARISERS, RegulariserName
from align_cli.loss.scores import SCORES, ScoreName
from align_cli.loss.settings import (
    Alpha,
    Beta,
    Clip,
    Nats,
    Scale,
    Smoothing,
    Target,
    ValueAnswers,
    ValueSign,
    Weight,
)


def scored(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    pair_labels: PairLabels,
    *,
    beta: Beta,
    scores: ScoreName,
    link: LinkName = "reverse_kl",
    reduction: ReductionName = "sum",
    outer: OuterName = "logistic",
    regulariser: RegulariserName = "none",
    score_scale: Scale = None,
    objective_weight: Annotated[float | None, "(0, 1]", "1"] = None,
    weight_min: Annotated[float | None, "[0, 1)", "1"] = None,
    weight_max: Annotated[float | None, "> 1", "1"] = None,
    weight_slope: Annotated[float | None, "> 0", "1"] = None,
    weight_centre: Annotated[float | None, ">= 0", "log-odds"] = None,
    label_smoothing: Smoothing = None,
    exponent_clip: Clip = None,
    alpha: Alpha = None,
    f_target: str | None = None,
    target_margin: Target = None,
    modulation_tau: Annotated[float | None, "(0, 1]", "1"] = None,
    regulariser_weight: Weight = None,
    calibration_nats: Nats = None,
    value_sign: ValueSign = None,
    value_answers: ValueAnswers = None,
) -> PairLoss:
    """Make the implicit rewards differ as the judge's scores do.

        l      = reduction(log(policy / reference)) of an answer             [nats]
        z      = beta s(l_chosen) - beta s(l_rejected)       s: the link
        d      = score(chosen) - score(rejected)             [score units]
        loss   = scores(phi, z, d) + regulariser             phi: the outer function

        scores              formula, p = sigmoid(k d)         known as, with phi
        offset              phi(z - k d)                      reward distillation, REBEL (square)
        log_offset          phi(z - k log d)                  ODPO (logistic)
        probability_offset  phi(z - (p - 1/2))                online IPO (square_nats)
        other_objective     phi((z - (1-v) d) / v)            MODPO (logistic)
        soft_label          p phi(z) + (1-p) phi(-z)          DNO (logistic)
        geometric_label     phi((2p - 1) z)                   soft-label DPO (logistic)
        adaptive_weight     q(k d) phi(z)                     MADPO (logistic)

    link, reduction, outer and regulariser are those of `pairwise`.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        score_scale: k, which makes the judge's scores log-odds (or rewards) of this scale.
        objective_weight: v of scores=other_objective, the weight of the objective of the pairs.
        weight_min, weight_max, weight_slope, weight_centre: of scores=adaptive_weight, the bounds
            of its factor c, how fast it falls, and the log-odds at which it is 1.
        label_smoothing, exponent_clip, alpha, f_target, target_margin, modulation_tau,
            regulariser_weight, calibration_nats, value_sign, value_answers: as in `pairwise`.
    """
    parts = Assembly(
        beta=beta,
        score_scale=score_scale,
        objective_weight=objective_weight,
        weight_min=weight_min,
        weight_max=weight_max,
        weight_slope=weight_slope,
        weight_centre=weight_centre,
        label_smoothing=label_smoothing,
        exponent_clip=exponent_clip,
        alpha=alpha,
        f_target=f_target,
        target_margin=target_margin,
        modulation_tau=modulation_tau,
        regulariser_weight=regulariser_weight,
        calibration_nats=calibration_nats,
        value_sign=value_sign,
        value_answers=value_answers,
    )
    informed = parts.part("scores", scores, SCORES)
    score = parts.part("link", link, LINKS)
    reduce = parts.part("reduction", reduction, REDUCTIONS)
    phi = parts.part("outer", outer, OUTERS)
    regularised = parts.part("regulariser", regulariser, REGULARISERS)
    parts.close("beta")
    chosen_ratio_B, rejected_ratio_B = log_ratios(pairs, ref_pairs, reduce)
    chosen_reward_B = beta * score(chosen_ratio_B)
    rejected_reward_B = beta * score(rejected_ratio_B)
    margin_B = chosen_reward_B - rejected_reward_B
    score_B = wide(pair_labels.margin_B).to(margin_B.dtype)
    loss_B = regularised(informed(phi, margin_B, score_B), pairs, ref_pairs)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
