"""A minimum within a ball: the ridge whose minimum lies on the sphere is the multiplier."""

from collections.abc import Callable
from math import exp, log

from scipy.optimize import brentq
from torch import Tensor

SMALLEST = 1e-12
"""Where the search begins if the plan has no ridge of its own."""
MOST = 1e6
ON_SPHERE = 1e-9
"""How near the sphere, as a share of the radius, the minimum is brought."""


def within(
    solved: Callable[[float, Tensor], Tensor],
    start_W: Tensor,
    *,
    ridge: float,
    radius: float | None,
) -> Tensor:
    """The minimum, if it lies in the ball; else that on the sphere.

    `solved(ridge, start)` is the minimum of f + ridge/2 |w|^2. The constrained minimum of f is that
    of the ridge at which |w| = radius, since |w| falls as the ridge grows (Karush, Kuhn, Tucker).
    """
    best_W = solved(ridge, start_W)
    if radius is None or float(best_W.norm()) <= radius:
        return best_W
    found: dict[float, Tensor] = {}

    def outside(log_ridge: float) -> float:
        nearest = min(found, key=lambda known: abs(known - log_ridge), default=None)
        warm_W = best_W if nearest is None else found[nearest]
        found[log_ridge] = solved(exp(log_ridge), warm_W)
        return log(float(found[log_ridge].norm()) / radius)

    root = brentq(outside, log(max(ridge, SMALLEST)), log(MOST), xtol=1e-12, rtol=ON_SPHERE)
    return solved(exp(root), found[min(found, key=lambda known: abs(known - root))])
