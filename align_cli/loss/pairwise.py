"""Preference losses on the margin between two implicit rewards: DPO and what is one part away."""

from typing import Annotated

from align_cli.batches import PairLogps, PairLoss
from align_cli.loss.labels import LABELS, LabelsName
from align_cli.loss.links import LINKS, LinkName
from align_cli.loss.offset import OFFSETS, OffsetName
from align_cli.loss.outer import OUTERS, OuterName
from align_cli.loss.parts import Assembly
from align_cli.loss.reduction import REDUCTIONS, ReductionName, log_ratios
from align_cli.loss.regularisers import REGULARISERS, RegulariserName
from align_cli.loss.settings import (
    Alpha,
    Beta,
    Clip,
    Nats,
    Smoothing,
    Target,
    ValueAnswers,
    ValueSign,
    Weight,
)
from align_cli.loss.weight import WEIGHTS, WeightName


def pairwise(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    beta: Beta,
    link: LinkName = "reverse_kl",
    reduction: ReductionName = "sum",
    offset: OffsetName = "none",
    outer: OuterName = "logistic",
    labels: LabelsName = "hard",
    weight: WeightName = "none",
    regulariser: RegulariserName = "none",
    label_smoothing: Smoothing = None,
    flip_rate: Smoothing = None,
    exponent_clip: Clip = None,
    alpha: Alpha = None,
    f_target: str | None = None,
    margin_clip: Annotated[float | None, "> 0", "1"] = None,
    target_margin: Target = None,
    fall_penalty: Annotated[float | None, ">= 0", "1"] = None,
    modulation_tau: Annotated[float | None, "(0, 1]", "1"] = None,
    regulariser_weight: Weight = None,
    calibration_nats: Nats = None,
    value_sign: ValueSign = None,
    value_answers: ValueAnswers = None,
) -> PairLoss:
    """Make the chosen answer's implicit reward exceed the rejected one's.

        l      = reduction(log(policy / reference)) of an answer             [nats]
        reward = beta s(l)                                   s: the link
        z      = clip(reward_chosen - reward_rejected) - offset
        loss   = weight labels(phi, z) + regulariser         phi: the outer function

    With every part at its first choice this is DPO: -log sigmoid(beta (l_chosen - l_rejected)).

        link        s(l)                  ds/dl         known as
        reverse_kl  l                     1             DPO
        forward_kl  -exp(-l)              exp(-l)
        jensen_shannon  log sigmoid(l)    sigmoid(-l)
        alpha       (1 - exp(-a l)) / a   exp(-a l)
        chi_squared exp(l)                exp(l)        (not DPO-inducing)
        chi_po      exp(l) + l            1 + exp(l)    chi-PO
        squared     l exp(-l)             (1-l) exp(-l) SquaredPO
        user        f'(exp(l)) of an f of your own, named by f_target

    reduction: sum | per_token. offset: none | constant g | chosen_fall (DPO-Positive) |
    reference_floor. outer: logistic -log sigmoid(z) | hinge max(0, 1-z) | ipo ((z - 1/2)/beta)^2 |
    square (z - g)^2 | square_nats (z/beta)^2 | exponential exp(-z) | truncated_quadratic
    max(0, 1-z)^2 | savage sigmoid(-z)^2 | discopop | exo. labels: hard phi(z) | smoothed
    (1-e) phi(z) + e phi(-z) | robust ((1-e) phi(z) - e phi(-z)) / (1-2e). weight: none |
    policy_probability (WPO). regulariser: none | nll | nll_per_token | calibration (Cal-DPO) |
    value (VPO).

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash; larger keeps the policy nearer the reference.
        label_smoothing: e of labels=smoothed, and of outer=exo, which wants it above 0.
        flip_rate: e of labels=robust, the share of pairs known to be mislabelled.
        exponent_clip: exp(x) of a link or of outer=exponential is taken at min(x, clip); null
            leaves the formula exact, and float32 overflows near x = 88.
        alpha: a of link=alpha; near 0 is reverse_kl, 1 is forward_kl.
        f_target: of link=user, PACKAGE.MODULE.FUNCTION in one of `plugins`: f(t) of a tensor t > 0.
        margin_clip: beyond it, on either side, a margin counts as this and gives no gradient.
        target_margin: g of offset=constant and of outer=square.
        fall_penalty: k of offset=chosen_fall, beta k max(0, -l_chosen).
        modulation_tau: of outer=discopop.
        regulariser_weight: c of a regulariser: -c log policy(chosen), per sequence or per token.
        calibration_nats: a of regulariser=calibration, c ((l_chosen - a)^2 + (l_rejected + a)^2).
        value_sign, value_answers: of regulariser=value, sign c beta l of which answers.

    Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 7 (DPO); Wang et al. 2023,
    arXiv:2309.16240 (links); Tang et al. 2024, arXiv:2402.05749 (outer functions). Each part's
    own source stands in its docstring, a preset's in its yaml.
    """
    parts = Assembly(
        beta=beta,
        label_smoothing=label_smoothing,
        flip_rate=flip_rate,
        exponent_clip=exponent_clip,
        alpha=alpha,
        f_target=f_target,
        margin_clip=margin_clip,
        target_margin=target_margin,
        fall_penalty=fall_penalty,
        modulation_tau=modulation_tau,
        regulariser_weight=regulariser_weight,
        calibration_nats=calibration_nats,
        value_sign=value_sign,
        value_answers=value_answers,
    )
    score = parts.part("link", link, LINKS)
    reduce = parts.part("reduction", reduction, REDUCTIONS)
    lead = parts.part("offset", offset, OFFSETS)
    phi = parts.part("outer", outer, OUTERS)
    believed = parts.part("labels", labels, LABELS)
    weighted = parts.part("weight", weight, WEIGHTS)
    regularised = parts.part("regulariser", regulariser, REGULARISERS)
    parts.close("beta", "margin_clip")
    chosen_ratio_B, rejected_ratio_B = log_ratios(pairs, ref_pairs, reduce)
    chosen_reward_B = beta * score(chosen_ratio_B)
    rejected_reward_B = beta * score(rejected_ratio_B)
    margin_B = chosen_reward_B - rejected_reward_B
    if margin_clip is not None:
        margin_B = margin_B.clamp(-margin_clip, margin_clip)
    margin_B = margin_B - lead(pairs, ref_pairs)
    loss_B = regularised(weighted(believed(phi, margin_B), pairs), pairs, ref_pairs)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
