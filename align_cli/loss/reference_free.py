"""Preference losses without a reference: SimPO, CPO, ORPO, AlphaPO and SLiC."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import torch
from torch import Tensor

from align_cli.batches import PairLogps, PairLoss
from align_cli.loss.labels import LABELS, LabelsName
from align_cli.loss.links import bounded_exp
from align_cli.loss.offset import constant, none
from align_cli.loss.outer import OUTERS
from align_cli.loss.parts import Assembly, Part
from align_cli.loss.reduction import REDUCTIONS, ReductionName, log_probs
from align_cli.loss.regularisers import NLLS
from align_cli.loss.settings import Beta, Clip, Smoothing, Weight

CERTAIN = -1e-6
"""Log-odds of a log-prob above this are taken at this: float32 knows no probability nearer 1."""


def log_prob(logp_B: Tensor) -> Tensor:
    """l: the log-prob itself. SimPO, CPO."""
    return logp_B


def log_odds(logp_B: Tensor) -> Tensor:
    """l - log(1 - exp(l)): log of p / (1 - p). ORPO.

    Source: Hong et al. 2024, arXiv:2403.07691, eq. 4.
    """
    inside_B = logp_B.clamp(max=CERTAIN)
    return inside_B - torch.log(-torch.expm1(inside_B))


def power(logp_B: Tensor, *, alpha: float, exponent_clip: float | None = None) -> Tensor:
    """(1 - p^(-a)) / a with p = exp(l); a -> 0 is log_prob. AlphaPO.

    Source: Gupta et al. 2025, arXiv:2501.03884.
    """
    if alpha == 0:
        return logp_B
    return (1 - bounded_exp(-alpha * logp_B, exponent_clip)) / alpha


SCORES: Final[Mapping[str, Part]] = {"log_prob": log_prob, "log_odds": log_odds, "power": power}
OFFSETS: Final[Mapping[str, Part]] = {"none": none, "constant": constant}
MENU: Final[Mapping[str, Part]] = {name: OUTERS[name] for name in ("logistic", "hinge", "ipo")}


def reference_free(
    pairs: PairLogps,
    *,
    beta: Beta,
    score: Literal["log_prob", "log_odds", "power"] = "log_prob",
    reduction: ReductionName = "sum",
    offset: Literal["none", "constant"] = "none",
    outer: Literal["logistic", "hinge", "ipo"] = "logistic",
    labels: LabelsName = "hard",
    regulariser: Literal["none", "nll", "nll_per_token"] = "none",
    label_smoothing: Smoothing = None,
    flip_rate: Smoothing = None,
    exponent_clip: Clip = None,
    alpha: Annotated[float | None, "[-10, 10]", "1"] = None,
    target_margin: Annotated[float | None, ">= 0", "1"] = None,
    preference_weight: Annotated[float, "> 0", "1"] = 1.0,
    regulariser_weight: Weight = None,
) -> PairLoss:
    """Make the chosen answer more probable than the rejected one; no reference is computed.

        l      = reduction(log policy) of an answer          [nats] or [nats/token]
        reward = beta s(l)                                   s: the score
        z      = reward_chosen - reward_rejected - g
        loss   = w labels(phi, z) + regulariser              phi: the outer function

        score     s(l)                  known as
        log_prob  l                     CPO (sum), SimPO (per_token)
        log_odds  l - log(1 - exp l)    ORPO (per_token)
        power     (1 - exp(-a l)) / a   AlphaPO (per_token)

    outer: logistic -log sigmoid(z) | hinge max(0, 1-z) | ipo ((z - 1/2)/beta)^2. labels: hard
    phi(z) | smoothed (1-e) phi(z) + e phi(-z) | robust. regulariser: none | nll -c log policy of
    the chosen answer | nll_per_token the same over its tokens.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: scale of the implicit reward.
        label_smoothing, flip_rate: e of labels=smoothed and labels=robust.
        exponent_clip: exp(x) of score=power is taken at min(x, clip).
        alpha: a of score=power; 0 is log_prob.
        target_margin: g of offset=constant, by which the chosen answer must lead.
        preference_weight: w; 1 leaves the loss as it is.
        regulariser_weight: c of a regulariser.

    Source: Meng et al. 2024, arXiv:2405.14734 (SimPO); Xu et al. 2024, arXiv:2401.08417 (CPO);
    Hong et al. 2024, arXiv:2403.07691 (ORPO); Gupta et al. 2025, arXiv:2501.03884 (AlphaPO).
    """
    parts = Assembly(
        beta=beta,
        label_smoothing=label_smoothing,
        flip_rate=flip_rate,
        exponent_clip=exponent_clip,
        alpha=alpha,
        target_margin=target_margin,
        regulariser_weight=regulariser_weight,
    )
    worth = parts.part("score", score, SCORES)
    reduce = parts.part("reduction", reduction, REDUCTIONS)
    lead = parts.part("offset", offset, OFFSETS)
    phi = parts.part("outer", outer, MENU)
    believed = parts.part("labels", labels, LABELS)
    regularised = parts.part("regulariser", regulariser, NLLS)
    parts.close("beta")
    chosen_B, rejected_B = log_probs(pairs, reduce)
    chosen_reward_B = beta * worth(chosen_B)
    rejected_reward_B = beta * worth(rejected_B)
    margin_B = chosen_reward_B - rejected_reward_B - lead(pairs, None)
    loss_B = regularised(preference_weight * believed(phi, margin_B), pairs, None)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
