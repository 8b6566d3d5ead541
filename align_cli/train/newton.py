"""Newton's method on a function whose second derivatives are at hand.

Shapes: W weights.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Curved = Callable[..., tuple[float, Tensor, Tensor | None]]
"""(weights, curved=...) -> value, gradient, matrix of second derivatives if asked for."""

RESOLVED = 1e-14
"""A decrement g H^-1 g that a value near 1 hardly resolves in float64."""
SHRUNK = 1e-8
"""A step cut by as much has found no descent: the value is at its floor of rounding."""


def minimise(at: Curved, start_W: Tensor, *, left: Callable[[], int]) -> Tensor:
    """The weights of a local minimum, from `start_W`; stops early when `left()` steps are 0.

        step = |H|^-1 g, halved until the value falls enough (Armijo)

    |H| has the absolute eigenvalues of H: at a minimum it is H, and elsewhere the step still
    descends (Nocedal and Wright 2006, section 3.4). The last step is a whole one, untested: it
    squares what error is left, where values no longer tell.
    """
    weights_W = start_W
    while left() > 0:
        value, slope_W, bend_WW = at(weights_W, curved=True)
        assert bend_WW is not None
        step_W = whole_step(slope_W, bend_WW)
        decrement = float(slope_W @ step_W)
        if decrement < RESOLVED:
            return weights_W - step_W
        size = 1.0
        while size > SHRUNK and left() > 0:
            if at(weights_W - size * step_W)[0] <= value - 1e-4 * size * decrement:
                break
            size /= 2
        else:
            return weights_W
        weights_W = weights_W - size * step_W
    return weights_W


def whole_step(slope_W: Tensor, bend_WW: Tensor) -> Tensor:
    """|H|^-1 g; directions without curvature are left alone, as those without slope are."""
    values_W, basis_WW = torch.linalg.eigh(bend_WW)
    size_W = values_W.abs()
    flat_W = size_W <= size_W.max() * 1e-15
    along_W = basis_WW.T @ slope_W
    out: Tensor = basis_WW @ torch.where(flat_W, 0.0, along_W / torch.where(flat_W, 1.0, size_W))
    return out
