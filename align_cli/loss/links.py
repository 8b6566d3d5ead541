"""Links: what a log-ratio to the reference is worth under an f-divergence.

For D_f = E_reference[f(r)], r = policy / reference, the implicit reward of an answer is beta f'(r)
up to a constant per prompt, which cancels between two answers. Each link gives that f'(r) as a
function of the log-ratio l = log r [nats], so that no ratio is formed before it is needed.
`divergences` holds the f of each, and computes what they promise.
"""

import math
from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from align_cli.loss.parts import Part
from align_cli.loss.user_link import user

LinkName = Literal[
    "reverse_kl", "forward_kl", "jensen_shannon", "alpha", "chi_squared", "chi_po", "squared",
    "user",
]  # fmt: skip


def reverse_kl(log_ratio_B: Tensor) -> Tensor:
    """f(t) = t log t: score l, slope 1. The KL leash of DPO.

    Source: Rafailov et al. 2023, arXiv:2305.18290.
    """
    return log_ratio_B


def forward_kl(log_ratio_B: Tensor, *, exponent_clip: float | None = None) -> Tensor:
    """f(t) = -log t: score -exp(-l), slope exp(-l).

    Source: Wang et al. 2023, arXiv:2309.16240.
    """
    return -bounded_exp(-log_ratio_B, exponent_clip)


def jensen_shannon(log_ratio_B: Tensor) -> Tensor:
    """f(t) = t log t - (t+1) log((t+1)/2): score log 2 + log sigmoid(l), slope sigmoid(-l).

    Source: Wang et al. 2023, arXiv:2309.16240.
    """
    return math.log(2) + logsigmoid(log_ratio_B)


def alpha(log_ratio_B: Tensor, *, alpha: float, exponent_clip: float | None = None) -> Tensor:
    """f(t) = (t^(1-a) - (1-a) t - a) / (a (a-1)): score (1 - exp(-a l)) / a, slope exp(-a l).

    a -> 0 is reverse_kl, a = 1 forward_kl. Elsewhere A = 1 - a is the parameter.
    Source: Wang et al. 2023, arXiv:2309.16240 (score); f by integration: **reconstruction**.
    """
    return (1 - bounded_exp(-alpha * log_ratio_B, exponent_clip)) / alpha


def chi_squared(log_ratio_B: Tensor, *, exponent_clip: float | None = None) -> Tensor:
    """f(t) = (t-1)^2 / 2: score exp(l), slope exp(l). Not DPO-inducing: shown for comparison."""
    return bounded_exp(log_ratio_B, exponent_clip)


def chi_po(log_ratio_B: Tensor, *, exponent_clip: float | None = None) -> Tensor:
    """f(t) = (t-1)^2 / 2 + t log t: score exp(l) + l, slope 1 + exp(l).

    Source: Huang et al. 2024, arXiv:2407.13399; its clip of the margin is `margin_clip`.
    """
    return bounded_exp(log_ratio_B, exponent_clip) + log_ratio_B


def squared(log_ratio_B: Tensor, *, exponent_clip: float | None = None) -> Tensor:
    """f(t) = (log t)^2 / 2: score l exp(-l), slope (1 - l) exp(-l). SquaredPO.

    The maximum is 1/e, at l = 1; beyond it the slope is negative, on either side of a pair. Below,
    the slope grows like exp(-l): a chosen answer that falls is held strongly, and a rejected one
    has done its work within a few nats. A clipped gradient norm is advised.

    Source: Pipano et al. 2026, arXiv:2602.06788, at whole-sequence probabilities.
    **Reconstruction**: formula and clip at 50 are known from notes on the paper; that only the
    upper side is clipped, and that the 1/r factor is differentiated, are inferred.
    """
    return log_ratio_B * bounded_exp(-log_ratio_B, exponent_clip)


def bounded_exp(exponent_B: Tensor, clip: float | None) -> Tensor:
    """exp(min(exponent, clip)); above the clip it is constant and passes no gradient."""
    return torch.exp(exponent_B if clip is None else exponent_B.clamp(max=clip))


LINKS: Final[Mapping[str, Part]] = {
    "reverse_kl": reverse_kl,
    "forward_kl": forward_kl,
    "jensen_shannon": jensen_shannon,
    "alpha": alpha,
    "chi_squared": chi_squared,
    "chi_po": chi_po,
    "squared": squared,
    "user": user,
}
