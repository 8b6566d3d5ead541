"""The f of every link, and what a divergence promises: computed from f and f', not asserted.

Nothing here loads torch, so that a command can say it at once. An f is made of +, -, *, / and **,
and of `log`, and takes a complex number as well as a tensor: its derivative is then exact, as the
imaginary part of f(t + ih) / h for a tiny h (Squire and Trapp 1998, the complex step).
"""

import cmath
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Function = Callable[[Any], Any]
"""f(t) of a tensor, or of a complex number."""
Real = Callable[[float], float]
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


def log(t: Any) -> Any:
    """The natural logarithm of a complex number or of a tensor."""
    return cmath.log(t) if isinstance(t, complex) else t.log()


def reverse_kl(t: Any) -> Any:
    """t log t."""
    return t * log(t)


def forward_kl(t: Any) -> Any:
    """-log t."""
    return -log(t)


def jensen_shannon(t: Any) -> Any:
    """t log t - (t+1) log((t+1)/2)."""
    return t * log(t) - (t + 1) * log((t + 1) / 2)


def alpha(t: Any, a: float = ALPHA) -> Any:
    """(t^(1-a) - (1-a) t - a) / (a (a-1)), at a = 0.5."""
    if a == 1:  # its limit
        return t - 1 - log(t)
    return (t ** (1 - a) - (1 - a) * t - a) / (a * (a - 1))


def chi_squared(t: Any) -> Any:
    """(t-1)^2 / 2."""
    return (t - 1) ** 2 / 2


def chi_po(t: Any) -> Any:
    """(t-1)^2 / 2 + t log t."""
    return chi_squared(t) + reverse_kl(t)


def squared(t: Any) -> Any:
    """(log t)^2 / 2."""
    return log(t) ** 2 / 2


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
    return found(lambda t: f(complex(t)).real, lambda t: _complex_step(f, t))


def found(value: Real, slope: Real) -> Properties:
    """The same of an f whose value and derivative at a number are known."""
    least = _argmin(value)
    return Properties(_falls_without_end(slope), least, least >= 1 - 1e-6)


def _complex_step(f: Function, t: float) -> float:
    step = 1e-20 * t
    return float(f(complex(t, step)).imag / step)


def _falls_without_end(slope: Real) -> bool:
    """Whether f' still falls, by as much as a logarithm does, from t = exp(-150) to exp(-300)."""
    near, nearer = (slope(math.exp(-nats)) for nats in (150.0, 300.0))
    return nearer < near - 1


def _argmin(value: Real, reach: float = 12.0, steps: int = 2400) -> float:
    """The least value of f on a grid of log t, then a golden-section search around it."""
    grid = [reach * (2 * place / steps - 1) for place in range(steps + 1)]
    values = [value(math.exp(point)) for point in grid]
    place = values.index(min(values))
    if place in (0, steps):
        return math.inf if place else 0.0
    low, high = grid[place - 1], grid[place + 1]
    shrink = (math.sqrt(5) - 1) / 2
    while high - low > 1e-9:
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        lower, upper = value(math.exp(left)), value(math.exp(right))
        low, high = (low, right) if lower < upper else (left, high)
    return math.exp((low + high) / 2)
