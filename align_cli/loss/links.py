"""f-divergences between policy and reference, as their links: what a log-ratio is worth.

For D_f = E_reference[f(r)], r = policy / reference, the implicit reward of an answer is beta f'(r)
up to a constant per prompt, which cancels between two answers. Each link gives that f'(r) as a
function of the log-ratio l = log r [nats], so that no ratio is formed before it is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Link:
    """One divergence's link."""

    score: Callable[[Tensor, float | None], Tensor]
    """(l_B, exponent_clip) -> f'(exp l)_B, up to an additive constant."""
    has_exponential: bool
    """Whether `score` forms exp(.) of log-ratios, so that an exponent clip means something."""


def reverse_kl(log_ratio_B: Tensor, exponent_clip: float | None) -> Tensor:
    """f(t) = t log t, f'(t) = log t + 1: score l, slope 1. The KL leash of DPO."""
    return log_ratio_B


def squared(log_ratio_B: Tensor, exponent_clip: float | None) -> Tensor:
    """f(t) = (log t)^2 / 2, f'(t) = log(t) / t: score l exp(-l), slope (1 - l) exp(-l).

    The maximum is 1/e, at l = 1; beyond it the slope is negative, on either side of a pair.
    """
    return log_ratio_B * bounded_exp(-log_ratio_B, exponent_clip)


def bounded_exp(exponent_B: Tensor, clip: float | None) -> Tensor:
    """exp(min(exponent, clip)); above the clip it is constant and passes no gradient."""
    return torch.exp(exponent_B if clip is None else exponent_B.clamp(max=clip))


LINKS = {
    "reverse_kl": Link(reverse_kl, has_exponential=False),
    "squared": Link(squared, has_exponential=True),
}
