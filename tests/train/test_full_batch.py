"""Training to convergence, against SciPy and against gradient steps written out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from align_cli.train.ball import within
from align_cli.train.newton import minimise

ROWS = np.random.default_rng(3).normal(size=(60, 4))
WINS = (np.random.default_rng(4).random(60) < 0.7).astype(float)


def logistic(weights_W: Tensor, ridge: float) -> Tensor:
    margin_N = torch.from_numpy(ROWS) @ weights_W
    loss_N = torch.nn.functional.softplus(margin_N) - torch.from_numpy(WINS) * margin_N
    return loss_N.mean() + ridge / 2 * weights_W @ weights_W


def double_well(weights_W: Tensor, ridge: float) -> Tensor:
    """Its curvature is negative between the wells, at +-1 but for the tilt."""
    return ((weights_W**2 - 1) ** 2).sum() + 0.1 * weights_W.sum() + ridge * weights_W @ weights_W


def curved(function: Callable[..., Tensor], ridge: float = 0.0) -> Callable[..., Any]:
    def at(weights_W: Tensor, *, curved: bool = False) -> tuple[float, Tensor, Tensor | None]:
        here_W = weights_W.clone().requires_grad_()
        value = function(here_W, ridge)
        (slope_W,) = torch.autograd.grad(value, here_W)
        bend_WW = torch.autograd.functional.hessian(lambda w: function(w, ridge), weights_W)
        return float(value.detach()), slope_W, bend_WW if curved else None

    return at


def solved(ridge: float, start_W: Tensor) -> Tensor:
    return minimise(curved(logistic, ridge), start_W, left=lambda: 100)


def test_newton_finds_scipys_minimum() -> None:
    found = minimise(curved(logistic), torch.zeros(4, dtype=torch.float64), left=lambda: 100)
    wanted = minimize(
        lambda w: float(logistic(torch.from_numpy(w), 0.0)), np.zeros(4), method="BFGS", tol=1e-9
    )
    np.testing.assert_allclose(found.numpy(), wanted.x, atol=1e-6)
    assert float(curved(logistic)(found)[1].norm()) < 1e-14


def test_newton_descends_where_curvature_is_negative() -> None:
    start_W = torch.tensor([0.1, -0.2], dtype=torch.float64)
    bend_WW = curved(double_well)(start_W, curved=True)[2]
    assert bend_WW is not None
    assert float(torch.linalg.eigvalsh(bend_WW).max()) < 0
    found_W = minimise(curved(double_well), start_W, left=lambda: 100)
    _, slope_W, bend_WW = curved(double_well)(found_W, curved=True)
    assert float(slope_W.norm()) < 1e-12
    assert bend_WW is not None
    assert float(torch.linalg.eigvalsh(bend_WW).min()) > 0


def test_a_ball_is_kept_as_scipys_constrained_minimum() -> None:
    free_W = solved(0.0, torch.zeros(4, dtype=torch.float64))
    radius = 0.5 * float(free_W.norm())
    found_W = within(solved, torch.zeros(4, dtype=torch.float64), ridge=0.0, radius=radius)
    assert float(found_W.norm()) == pytest.approx(radius, rel=1e-8)
    wanted = minimize(
        lambda w: float(logistic(torch.from_numpy(w), 0.0)),
        np.zeros(4),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda w: radius**2 - w @ w},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found_W.numpy(), wanted.x, atol=1e-5)
    whole_W = within(solved, torch.zeros(4, dtype=torch.float64), ridge=0.0, radius=2 * radius + 1)
    torch.testing.assert_close(whole_W, free_W)
