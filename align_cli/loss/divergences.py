"""The f of every link, and what a divergence promises: computed from f and f', not asserted."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]
ALPHA = 0.5
"""The alpha at which link=alpha is described."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What Pipano et al. 2026, arXiv:2602.06788, ask of a divergence."""

    dpo_inducing: bool
    """f'(t) -> -inf as t -> 0+: no answer's probability goes to 0, so the loss solves the problem
    it is derived from."""
    argmin: float
    """The ratio to the reference at which f is least; inf if it falls without end."""
    displacement_resistant: bool
    """argmin f >= 1, which is necessary, not sufficient: what was seen need not lose mass. It is a
    property of this f: adding c (t-1) moves the minimum and leaves the loss as it is."""


def reverse_kl(t: Tensor) -> Tensor:
    """t log t."""
    return t * torch.log(t)


def forward_kl(t: Tensor) -> Tensor:
    """-log t."""
    return -torch.log(t)


def jensen_shannon(t: Tensor) -> Tensor:
    """t log t - (t+1) log((t+1)/2)."""
    return t * torch.log(t) - (t + 1) * torch.log((t + 1) / 2)


def alpha(t: Tensor) -> Tensor:
    """(t^(1-a) - (1-a) t - a) / (a (a-1)), at a = 0.5."""
    return (t ** (1 - ALPHA) - (1 - ALPHA) * t - ALPHA) / (ALPHA * (ALPHA - 1))


def chi_squared(t: Tensor) -> Tensor:
    """(t-1)^2 / 2."""
    return (t - 1) ** 2 / 2


def chi_po(t: Tensor) -> Tensor:
    """(t-1)^2 / 2 + t log t."""
    return chi_squared(t) + reverse_kl(t)


def squared(t: Tensor) -> Tensor:
    """(log t)^2 / 2."""
    return torch.log(t) ** 2 / 2


DIVERGENCES: Final[Mapping[str, Function]] = {
    "reverse_kl": reverse_kl,
    "forward_kl": forward_kl,
    "jensen_shannon": jensen_shannon,
    "alpha": alpha,
    "chi_squared": chi_squared,
    "chi_po": chi_po,
    "squared": squared,
}


def properties(f: Function) -> Properties:
    """What `f`, defined on t > 0, promises, found from its values and its derivative."""
    least = _argmin(f)
    return Properties(_falls_without_end(f), least, least >= 1 - 1e-6)


def _falls_without_end(f: Function) -> bool:
    """Whether f' still falls, by as much as a logarithm does, from t = exp(-150) to exp(-300)."""
    near, nearer = (_derivative(f, math.exp(-nats)) for nats in (150.0, 300.0))
    return nearer < near - 1


def _derivative(f: Function, t: float) -> float:
    point = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(f(point), point)
    return float(slope)


def _argmin(f: Function, reach: float = 12.0) -> float:
    """The least value of f on a fine grid of log t, then a golden-section search around it."""
    grid = torch.linspace(-reach, reach, 24001, dtype=torch.float64)
    place = int(f(torch.exp(grid)).argmin())
    if place in (0, len(grid) - 1):
        return math.inf if place else 0.0
    low, high = float(grid[place - 1]), float(grid[place + 1])
    shrink = (math.sqrt(5) - 1) / 2
    while high - low > 1e-9:
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        lower, upper = f(torch.exp(torch.tensor([left, right], dtype=torch.float64))).tolist()
        low, high = (low, right) if lower < upper else (left, high)
    return math.exp((low + high) / 2)
