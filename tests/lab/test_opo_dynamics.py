"""OPO on exact policies: the closed form is the optimiser's, and the bound on mu is the figure."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from align_cli.bandit.instance import Array
from align_cli.errors import ConfigError
from align_cli.lab.opo import bounded, closed_form, opo_drive

ARMS = 8


def problem(seed: int) -> tuple[Array, Array]:
    draws = np.random.default_rng(seed)
    return draws.dirichlet(np.full(ARMS, 2.0))[None], draws.normal(size=(1, ARMS))


def constrained(policy_K: Array, drive_K: Array, mu: float, *, bound: bool) -> Array:
    """max <g, v> - mu/2 |v|^2 in L2(policy), of mean 0, by SLSQP."""
    found = minimize(
        lambda v: -(policy_K @ (drive_K * v)) + mu / 2 * policy_K @ v**2,
        np.zeros(ARMS),
        jac=lambda v: policy_K * (mu * v - drive_K),
        method="SLSQP",
        bounds=[(-1, None)] * ARMS if bound else None,
        constraints={"type": "eq", "fun": lambda v: policy_K @ v, "jac": lambda v: policy_K},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    out: Array = found.x
    return out


@pytest.mark.parametrize("seed", range(4))
def test_the_closed_form_is_the_constrained_optimum(seed: int) -> None:
    policy_1K, score_1K = problem(seed)
    drive, share = opo_drive(policy_1K, score_1K, drive="escort", alpha=0.4)
    v_K = closed_form(drive, share, 2.0)[0]
    assert abs(policy_1K[0] @ v_K) < 1e-14
    np.testing.assert_allclose(
        v_K, constrained(policy_1K[0], drive[0].numpy(), 2.0, bound=False), atol=1e-4
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_bounded_projection_is_the_bounded_optimum(seed: int) -> None:
    policy_1K, score_1K = problem(seed)
    drive, share = opo_drive(policy_1K, score_1K, drive="advantage")
    v_K = bounded(drive, share, 0.5)[0]
    assert v_K.min() == -1
    np.testing.assert_allclose(
        v_K, constrained(policy_1K[0], drive[0].numpy(), 0.5, bound=True), atol=1e-4
    )


def test_below_the_bound_the_closed_form_is_refused_with_it() -> None:
    policy_1K, score_1K = problem(0)
    drive, share = opo_drive(policy_1K, score_1K, drive="advantage")
    bound = -float(drive.min())
    assert (1 + closed_form(drive, share, bound * 1.0001)).min() >= 0
    with pytest.raises(ConfigError, match=f"take mu >= {bound:.6g}"):
        closed_form(drive, share, bound * 0.999)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 0.9])
def test_descent_in_the_policys_own_geometry_contracts_by_its_factor(alpha: float) -> None:
    policy_1K, score_1K = problem(1)
    drive, share = opo_drive(policy_1K, score_1K, drive="escort", alpha=alpha)
    target = torch.from_numpy(closed_form(drive, share, 1.0))
    v = torch.zeros_like(drive)
    for _ in range(10):
        v.requires_grad_()
        loss = (share * (-drive * v + v**2 / 2)).sum()
        (slope,) = torch.autograd.grad(loss, v)
        v = (v - 0.3 * slope / share).detach()
    ratio = ((v - target).norm() / target.norm()).item()
    assert ratio == pytest.approx(0.7**10, abs=1e-10)


def test_repeated_steps_end_at_the_softmax_of_the_rewards() -> None:
    policy_1K, score_1K = np.full((1, ARMS), 1 / ARMS), problem(2)[1]
    for _ in range(400):
        drive, share = opo_drive(policy_1K, score_1K, drive="escort", alpha=0.4)
        policy_1K = policy_1K * (1 + closed_form(drive, share, 2.0))
    wanted = np.exp(score_1K) / np.exp(score_1K).sum()
    assert np.abs(policy_1K - wanted).sum() / 2 < 1e-12
