"""Gradient steps on the exact expectation of a loss: the trainer's update without any sampling."""

from collections.abc import Callable

import torch

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw
from align_cli.bandit.policy import tabular
from align_cli.lab.exact import (
    ExactLoss,
    expected_loss,
    gradient_of,
    linear_log_probs,
    tabular_log_probs,
)


def descend_linear(
    bandit: Bandit, law: PairLaw, loss: ExactLoss, start_D: Array, *, step: float, steps: int
) -> Array:
    """theta after plain gradient steps, both sampler and reference held fixed.

    Settings:
        step: learning rate.
        steps: how many.
    """
    theta_D = start_D
    for _ in range(steps):
        at_D = torch.tensor(theta_D, requires_grad=True)
        value = expected_loss(bandit, law, linear_log_probs(bandit, at_D), loss)
        theta_D = theta_D - step * gradient_of(value, at_D)
    return theta_D


def descend_tabular(
    bandit: Bandit,
    law_at: Callable[[Array], PairLaw],
    loss: ExactLoss,
    *,
    step_at: Callable[[PairLaw], float],
    steps: int,
) -> tuple[Array, ...]:
    """[X, K] lifts u from the reference on, one per step; the sampler follows the policy.

    Settings:
        step_at: learning rate, given the law of the step.
        steps: how many.
    """
    trail = [torch.zeros(bandit.reward_XK.shape, dtype=torch.float64).numpy()]
    for _ in range(steps):
        law = law_at(tabular(bandit, trail[-1]))
        at_XK = torch.tensor(trail[-1], requires_grad=True)
        value = expected_loss(bandit, law, tabular_log_probs(bandit, at_XK), loss)
        trail.append(trail[-1] - step_at(law) * gradient_of(value, at_XK))
    return tuple(trail)
