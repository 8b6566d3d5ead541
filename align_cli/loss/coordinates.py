"""Coordinates: in what a group's drive g is followed, and how far it may lead.

Each is a quadratic of curvature mu in its own coordinate, least at g / mu. The share is the
distribution of the siblings under the reference.
"""

import math
from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import relu

from align_cli.loss.parts import Part
from align_cli.loss.siblings import mean

CoordinateName = Literal["log_ratio", "ratio", "bounded_ratio"]
BISECTIONS: Final = 60
"""Halvings of the multiplier's bracket: beyond what float64 resolves."""


def log_ratio(x_GK: Tensor, drive_GK: Tensor, share_GK: Tensor, *, mu: float) -> Tensor:
    """mean(-g x + mu/2 x^2), x = log rho: linear where the ratio would be exponential."""
    return mean(-drive_GK * x_GK + mu / 2 * x_GK**2, share_GK)


def ratio(
    x_GK: Tensor,
    drive_GK: Tensor,
    share_GK: Tensor,
    *,
    mu: float,
    exponent_clip: float | None = None,
) -> Tensor:
    """mean(-g v + mu/2 v^2), v = rho - 1: exact; the penalty is mu/2 of the chi-squared."""
    v_GK = ratio_less_1(x_GK, exponent_clip)
    return mean(-drive_GK * v_GK + mu / 2 * v_GK**2, share_GK)


def bounded_ratio(
    x_GK: Tensor,
    drive_GK: Tensor,
    share_GK: Tensor,
    *,
    mu: float,
    exponent_clip: float | None = None,
) -> Tensor:
    """mu/2 mean((v - v*)^2), v* = max(-1, (g - lambda) / mu): no probability below 0 is asked for.

    lambda makes the mean of v* 0.
    """
    target_GK = bounded_projection(drive_GK, share_GK, mu)
    return mu / 2 * mean((ratio_less_1(x_GK, exponent_clip) - target_GK) ** 2, share_GK)


def bounded_projection(drive_GK: Tensor, share_GK: Tensor, mu: float) -> Tensor:
    """v* = max(-1, (g - lambda) / mu), lambda by bisection so that its mean is 0; 0 in padding.

    It is the v >= -1 of mean 0 that is nearest to g / mu.
    Source: Wang 2026, arXiv:2602.21269.
    """
    there_GK = share_GK > 0
    # At the mean of g the unbounded v has mean 0, so the bounded one 0 or more; a mu above the
    # largest g, all of v is -1.
    low_G = mean(drive_GK, share_GK)
    high_G = drive_GK.where(there_GK, -math.inf).amax(1) + mu
    for _ in range(BISECTIONS):
        middle_G = (low_G + high_G) / 2
        v_GK = ((drive_GK - middle_G.unsqueeze(1)) / mu).clamp(min=-1)
        too_low_G = mean(v_GK, share_GK) > 0
        low_G = torch.where(too_low_G, middle_G, low_G)
        high_G = torch.where(too_low_G, high_G, middle_G)
    multiplier_G1 = ((low_G + high_G) / 2).unsqueeze(1)
    return ((drive_GK - multiplier_G1) / mu).clamp(min=-1).where(there_GK, 0)


def ratio_less_1(x_GK: Tensor, clip: float | None) -> Tensor:
    """exp(x) - 1; beyond the clip its tangent, so that it can still be pulled back."""
    if clip is None:
        return torch.expm1(x_GK)
    return torch.expm1(x_GK.clamp(max=clip)) + math.exp(clip) * relu(x_GK - clip)


COORDINATES: Final[Mapping[str, Part]] = {
    "log_ratio": log_ratio,
    "ratio": ratio,
    "bounded_ratio": bounded_ratio,
}
