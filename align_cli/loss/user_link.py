"""The link of a divergence of the user's own: the derivative of an f that a plugin defines."""

from functools import cache
from importlib import import_module

import torch
from torch import Tensor

from align_cli.errors import ConfigError
from align_cli.loss.divergences import Function, Properties, found


def user(log_ratio_B: Tensor, *, f_target: str, exponent_clip: float | None = None) -> Tensor:
    """Any f(t) of a package in `plugins`: score f'(exp(l)), by automatic differentiation.

    Taken in float64 at l between -clip and clip; beyond it is constant and passes no gradient.
    """
    f = function_of(f_target)
    # Scores are also wanted where no gradient is recorded, and f' is a gradient.
    with torch.inference_mode(False), torch.enable_grad():
        inside_B = log_ratio_B.clone().double()
        if exponent_clip is not None:
            inside_B = inside_B.clamp(-exponent_clip, exponent_clip)
        ratio_B = torch.exp(inside_B)
        if not ratio_B.requires_grad:
            ratio_B.requires_grad_()
        value_B = f(ratio_B)
        if (
            not isinstance(value_B, Tensor)
            or value_B.shape != ratio_B.shape
            or (value_B.grad_fn is None)
        ):
            raise ConfigError(
                f"loss.f_target: {f_target} must give one value per ratio, by torch functions of it"
            )
        (score_B,) = torch.autograd.grad(value_B.sum(), ratio_B, create_graph=True)
    return score_B.to(log_ratio_B.dtype)


def properties(target: str) -> Properties:
    """What the f of that dotted name promises, found from its values and its derivative."""
    f = function_of(target)

    def value(t: float) -> float:
        return float(f(torch.tensor([t], dtype=torch.float64)))

    def slope(t: float) -> float:
        score_B = user(torch.tensor([t], dtype=torch.float64).log(), f_target=target)
        return float(score_B.detach())

    return found(value, slope)


@cache
def function_of(target: str) -> Function:
    """The function of that dotted name; the configuration has checked that it may be imported."""
    module, _, name = target.rpartition(".")
    function: Function = getattr(import_module(module), name)
    return function
