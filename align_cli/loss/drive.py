"""Drives: how hard each completion of a group is pushed, from its score and its reference.

A drive g is centred: its mean over the siblings is 0. All are detached. A is the advantage,
A = k (score - mean score). Those made of weights omega take g = omega - 1 with **omega of mean 1
in every group**: a constant factor in omega would scale the target g / mu, so one is fixed, and mu
keeps its meaning. The weights are formed in logarithms, so no probability is ever inverted.
"""

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from align_cli.errors import ConfigError
from align_cli.loss.parts import Part
from align_cli.loss.siblings import Siblings, centred, per_token

DriveName = Literal["advantage", "absorbed", "escort", "escort_length_normalised", "code_softmax"]


def advantage(siblings: Siblings, *, score_scale: float) -> Tensor:
    """g = A: the drive of GOPO."""
    return score_scale * centred(siblings.score_GK, siblings.share_GK)


def absorbed(siblings: Siblings, *, alpha: float, score_scale: float) -> Tensor:
    """omega ~ exp((1-a) A): the escort weight without its factor of the reference.

    Repeated exactly, it converges to the highest score, not to exp(score).
    """
    log_weight_GK = (1 - alpha) * advantage(siblings, score_scale=score_scale)
    return from_log_weights(log_weight_GK, siblings.share_GK)


def escort(siblings: Siblings, *, alpha: float, score_scale: float) -> Tensor:
    """omega ~ (exp(A) / reference)^(1-a), of the whole completion: the paper's weight.

    For long completions one sibling, the least likely, takes all the weight.
    """
    lead_GK = advantage(siblings, score_scale=score_scale) - siblings.reference_GK
    return from_log_weights((1 - alpha) * lead_GK, siblings.share_GK)


def escort_length_normalised(siblings: Siblings, *, alpha: float, score_scale: float) -> Tensor:
    """omega ~ (exp(A) / reference^(1/n))^(1-a): the same per token of the reference."""
    reference_GK = per_token(siblings.reference_GK, siblings)
    lead_GK = advantage(siblings, score_scale=score_scale) - reference_GK
    return from_log_weights((1 - alpha) * lead_GK, siblings.share_GK)


def code_softmax(
    siblings: Siblings, *, alpha: float, score_scale: float, ratio_temperature: float
) -> Tensor:
    """omega ~ q^(1-a) p^a, q = softmax(A), p = softmax(u / (n tau)): as the author's code has it.

    u = log(policy / reference), detached. The code's clips, adaptive tau and z-loss are left out.
    """
    followed_GK = per_token(siblings.log_ratio_GK.detach(), siblings) / ratio_temperature
    pushed_GK = advantage(siblings, score_scale=score_scale)
    return from_log_weights((1 - alpha) * pushed_GK + alpha * followed_GK, siblings.share_GK)


def from_log_weights(log_weight_GK: Tensor, share_GK: Tensor) -> Tensor:
    """exp(log weight) over its mean, less 1; 0 in padding."""
    log_share_GK = torch.log(share_GK)
    log_mean_G1 = torch.logsumexp(log_weight_GK + log_share_GK, 1, keepdim=True)
    return torch.expm1(log_weight_GK - log_mean_G1).where(share_GK > 0, 0)


def min_mu(drive_GK: Tensor, share_GK: Tensor) -> Tensor:
    """[G]: the least stiffness mu at which no target ratio 1 + g / mu is negative.

    A smaller mu asks for probabilities below 0; they are cut at 0 only by coordinate=bounded_ratio.
    At most 1 for drives made of weights, since g = omega - 1 > -1; without bound for advantages.
    """
    return (-drive_GK).where(share_GK > 0, 0).amax(1)


def check_positive(drive_GK: Tensor, share_GK: Tensor, mu: float) -> None:
    """Refuse a mu at which 1 + g / mu is negative somewhere, saying from which mu on it is not."""
    bound = float(min_mu(drive_GK, share_GK).max())
    if mu < bound:
        raise ConfigError(
            f"opo: mu is {mu:g}, and below {bound:.6g} the closed form asks for probabilities "
            f"below 0; take mu >= {bound:.6g}, or the bounded projection "
            "(loss.coordinate=bounded_ratio)"
        )


DRIVES: Final[Mapping[str, Part]] = {
    "advantage": advantage,
    "absorbed": absorbed,
    "escort": escort,
    "escort_length_normalised": escort_length_normalised,
    "code_softmax": code_softmax,
}
