"""DPO by maximum likelihood: of a linear softmax it is logistic regression, solved by Newton."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.preference import PairCounts, feature_differences
from align_cli.errors import AlignError

RIDGE = 1e-9
"""Holds directions that no pair shows at 0; far below any statistical error."""
RESOLVED = 1e-14
"""A Newton decrement that a loss near 1 hardly resolves in float64."""
SHRINKINGS = 30
"""Halvings of the logarithm of the ridge's bracket, 12 decades wide."""


class NotConverged(AlignError):
    """A fit that stopped short of its optimum."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The parameter of most likelihood within the ball."""

    parameter_D: Array
    ridge: float
    """RIDGE, or the multiplier that keeps the parameter in the ball."""
    gradient_norm: float
    """Of the penalised mean loss."""


def maximum_likelihood(bandit: Bandit, counts: PairCounts, *, radius: float | None = None) -> Fit:
    """theta that makes the labels likeliest: DPO's loss, to convergence.

        loss = mean of -log sigmoid(beta <theta, phi(winner) - phi(loser)>),  |theta| <= radius

    Pairs of an arm with itself carry no label and count for nothing. With no pair left, theta is 0,
    the reference.

    Settings:
        radius: of the ball; null leaves it out, and labels that all agree then run far.
    """
    difference_PD = feature_differences(bandit, counts)
    wins_P, total_P = counts.wins_P.astype(float), counts.total_P.astype(float)
    start_D = np.zeros(bandit.dimension)
    if len(wins_P) == 0:
        return Fit(start_D, RIDGE, 0.0)
    problem = (bandit.beta * difference_PD, wins_P / total_P.sum(), total_P / total_P.sum())
    fit = newton(*problem, RIDGE, start_D)
    if radius is None or np.linalg.norm(fit.parameter_D) <= radius:
        return fit
    low, high = np.log(RIDGE), np.log(1e3)
    for _ in range(SHRINKINGS):
        middle = (low + high) / 2
        fit = newton(*problem, float(np.exp(middle)), fit.parameter_D)
        if np.linalg.norm(fit.parameter_D) > radius:
            low = middle
        else:
            high = middle
    return newton(*problem, float(np.exp(high)), fit.parameter_D)


def newton(
    row_PD: Array, wins_P: Array, total_P: Array, ridge: float, start_D: Array, steps: int = 100
) -> Fit:
    """Damped Newton on mean logistic loss + ridge/2 |theta|^2; refuses to stop half way."""

    def loss(at_D: Array) -> float:
        margin_P = row_PD @ at_D
        likelihood = total_P @ np.logaddexp(0, margin_P) - wins_P @ margin_P
        return float(likelihood + ridge / 2 * at_D @ at_D)

    theta_D, now = start_D, loss(start_D)
    for _ in range(steps):
        chance_P = expit(row_PD @ theta_D)
        gradient_D = row_PD.T @ (total_P * chance_P - wins_P) + ridge * theta_D
        norm = float(np.linalg.norm(gradient_D))
        curvature_P = total_P * chance_P * (1 - chance_P)
        hessian_DD = (row_PD * curvature_P[:, None]).T @ row_PD + ridge * np.eye(len(theta_D))
        step_D = np.linalg.solve(hessian_DD, gradient_D)
        if gradient_D @ step_D < RESOLVED:  # One more full step squares what error is left.
            return Fit(theta_D - step_D, ridge, norm)
        size = 1.0
        while size > 1e-8:
            then = loss(theta_D - size * step_D)
            if then <= now - 1e-4 * size * gradient_D @ step_D:
                break
            size /= 2
        else:  # The loss no longer resolves the step: it is at its floor of rounding.
            return Fit(theta_D, ridge, norm)
        theta_D, now = theta_D - size * step_D, then
    raise NotConverged(
        f"bandit: Newton's gradient is still {norm:.3g} after {steps} steps; set a radius, which "
        "keeps labels that all agree from driving the parameter to infinity"
    )
