"""OPO on random exact policies: projection, contraction, positivity, fixed points, saturation."""

import math

import numpy as np
import torch
from scipy.optimize import minimize

from align_cli.bandit.instance import Array
from align_cli.lab.experiment import Measurement
from align_cli.lab.opo import bounded, closed_form, opo_drive
from align_cli.loss.drive import DriveName, min_mu
from align_cli.seeds import derive


def problem(seed: int, arms: int) -> tuple[Array, Array]:
    """[1, K] a Dirichlet(2) policy and normal rewards."""
    draws = np.random.default_rng(derive("lab opo", seed))
    return draws.dirichlet(np.full(arms, 2.0))[None], draws.normal(size=(1, arms))


def projection_gaps(*, arms: int, alpha: float, mu: float, seeds: int) -> list[Measurement]:
    """Largest |closed form - constrained optimum by SLSQP|, by seed.

    `closed` of max <g, v> - mu/2 |v|^2 over E v = 0 with the escort drive; `bounded` with v >= -1
    as well, the advantage drive. `bound` is the least mu that keeps every probability at 0 or more.
    """
    found = []
    for seed in range(seeds):
        policy_1K, score_1K = problem(seed, arms)
        drive, share = opo_drive(policy_1K, score_1K, drive="escort", alpha=alpha)
        exact_K = closed_form(drive, share, mu)[0]
        other_K = constrained(policy_1K[0], drive[0].numpy(), mu, low=None)
        advantage, _ = opo_drive(policy_1K, score_1K, drive="advantage")
        cut_K = bounded(advantage, share, mu)[0]
        cut_other_K = constrained(policy_1K[0], advantage[0].numpy(), mu, low=-1)
        seen = {
            "closed": np.abs(exact_K - other_K).max(),
            "bounded": np.abs(cut_K - cut_other_K).max(),
            "bound": float(min_mu(drive, share).max()),
            "advantage_bound": float(min_mu(advantage, share).max()),
        }
        found += [
            Measurement(quantity=name, at=0, seed=seed, value=float(value))
            for name, value in seen.items()
        ]
    return found


def constrained(policy_K: Array, drive_K: Array, mu: float, *, low: float | None) -> Array:
    """max <g, v> - mu/2 |v|^2 in L2(policy), of mean 0, v >= low, by SLSQP."""
    found = minimize(
        lambda v: -(policy_K @ (drive_K * v)) + mu / 2 * policy_K @ v**2,
        np.zeros(len(policy_K)),
        jac=lambda v: policy_K * (mu * v - drive_K),
        method="SLSQP",
        bounds=[(low, None)] * len(policy_K),
        constraints={"type": "eq", "fun": lambda v: policy_K @ v, "jac": lambda v: policy_K},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    out: Array = found.x
    return out


def contraction(*, arms: int, alpha: float, mu: float, eta: float, steps: int) -> list[Measurement]:
    """`ratio`: |v - v*| after so many gradient steps in L2(policy), over that at the start."""
    policy_1K, score_1K = problem(0, arms)
    drive, share = opo_drive(policy_1K, score_1K, drive="escort", alpha=alpha)
    target = torch.from_numpy(closed_form(drive, share, mu))
    v = torch.zeros_like(drive)
    ratios = [1.0]
    for _ in range(steps):
        v.requires_grad_()
        loss = (share * (-drive * v + mu / 2 * v**2)).sum()
        (slope,) = torch.autograd.grad(loss, v)
        v = (v - eta * slope / share).detach()
        ratios.append(((v - target).norm() / target.norm()).item())
    return [
        Measurement(quantity="ratio", at=step, seed=None, value=ratio)
        for step, ratio in enumerate(ratios)
    ]


def fixed_point(
    *, arms: int, drive: DriveName, alpha: float, mu: float, steps: int
) -> list[Measurement]:
    """`distance`: total variation to softmax(rewards); `best`: probability of the best arm.

    The closed form iterated from a uniform policy, the reference re-frozen at each step; where it
    asks for probabilities below 0, the bounded projection.
    """
    score_1K = problem(2, arms)[1]
    policy_1K = np.full((1, arms), 1 / arms)
    wanted_1K = np.exp(score_1K) / np.exp(score_1K).sum()
    found = []
    for step in range(steps + 1):
        seen = {
            "distance": np.abs(policy_1K - wanted_1K).sum() / 2,
            "best": policy_1K[0, score_1K[0].argmax()],
            "dead": float((policy_1K <= 0).sum()),
        }
        found += [
            Measurement(quantity=name, at=step, seed=None, value=float(value))
            for name, value in seen.items()
        ]
        more = {} if drive == "advantage" else {"alpha": alpha}
        field, share = opo_drive(policy_1K, score_1K, drive=drive, **more)
        policy_1K = policy_1K * (1 + bounded(field, share, mu))
        policy_1K = policy_1K / policy_1K.sum()
    return found


def saturation(*, chances: list[float], target: float, mu: float) -> list[Measurement]:
    """Gradients at a two-armed policy that plays the right arm with probability p, by autograd.

    sft: of -log p in the logit z. opo_v, opo_z: of mu/2 v^2 - target v in v = p / p_0 - 1 (p_0 =
    1/2) and in z. log_delta, log_z: of the log surrogate, with Delta = log(p / p_0) for v.
    """
    found = []
    for chance in chances:
        z = torch.tensor(math.log(chance / (1 - chance)), dtype=torch.float64, requires_grad=True)
        log_p = torch.nn.functional.logsigmoid(z)
        delta = log_p - math.log(0.5)
        v = torch.expm1(delta)
        losses = {"sft": -log_p, "opo": mu / 2 * v**2 - target * v}
        losses["log"] = mu / 2 * delta**2 - target * delta
        slopes = {
            name: float(torch.autograd.grad(loss, z, retain_graph=True)[0])
            for name, loss in losses.items()
        }
        seen = {
            "sft": slopes["sft"],
            "opo_v": mu * float(v.detach()) - target,
            "opo_z": slopes["opo"],
            "log_delta": mu * float(delta.detach()) - target,
            "log_z": slopes["log"],
        }
        found += [
            Measurement(quantity=name, at=chance, seed=None, value=value)
            for name, value in seen.items()
        ]
    return found
