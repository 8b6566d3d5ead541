"""A policy of a bandit, examined exactly: nothing is drawn, so nothing is uncertain."""

import numpy as np

from align_cli.bandit.diagnostics import coverage_trace, leverage
from align_cli.bandit.instance import REALISABLE, Array, Bandit, nearest_parameter
from align_cli.bandit.policy import feature_covariance, kl, linear_softmax, log_ratio, optimum


def expected_rewards(bandit: Bandit, log_policy_XK: Array) -> Array:
    """[X]: E_policy r of each context [reward units]."""
    out: Array = (np.exp(log_policy_XK) * bandit.reward_XK).sum(1)
    return out


def regularised_rewards(bandit: Bandit, log_policy_XK: Array) -> Array:
    """[X]: J = E_policy r - beta KL(policy || reference), which the best policy makes largest."""
    leash_XK = bandit.beta * np.exp(log_policy_XK) * log_ratio(bandit, log_policy_XK)
    out: Array = expected_rewards(bandit, log_policy_XK) - leash_XK.sum(1)
    return out


def regret(bandit: Bandit, log_policy_XK: Array) -> float:
    """J(pi*) - J(policy) = beta KL(policy || pi*), J = E r - beta KL(. || reference); >= 0."""
    return bandit.beta * kl(bandit, log_policy_XK, optimum(bandit))


def reward_error(bandit: Bandit, log_policy_XK: Array) -> float:
    """Largest error of a difference of implicit rewards of two arms of a context [reward units].

    The implicit reward is beta log(policy / reference); at the best policy the error is 0.
    """
    error_XK = bandit.beta * log_ratio(bandit, log_policy_XK) - bandit.reward_XK
    return float((error_XK.max(1) - error_XK.min(1)).max())


def class_kl(bandit: Bandit) -> float | None:
    """KL(pi* || nearest linear softmax by least squares); None where the reward is linear."""
    if bandit.feature_XKD is None:
        return None
    parameter_D, misfit = nearest_parameter(bandit)
    if misfit <= REALISABLE:
        return None
    return kl(bandit, optimum(bandit), linear_softmax(bandit, parameter_D))


def coverage(bandit: Bandit, log_policy_XK: Array) -> dict[str, float]:
    """How well the policy's own draws would teach the optimum; features' forms where there are any.

    density_supremum   largest pi*(y) / policy(y)
    coverage_trace     tr(V* V^-1), V the covariance of features under the policy
    max_leverage       largest phi~^T V^-1 phi~ of an arm, phi~ centred at the policy
    """
    found = {"density_supremum": float(np.exp((optimum(bandit) - log_policy_XK).max()))}
    if bandit.feature_XKD is None:
        return found
    covariance_DD = feature_covariance(bandit, log_policy_XK)
    if np.linalg.cond(covariance_DD) > 1 / np.finfo(float).eps:
        # A policy that hardly varies covers nothing that float64 could tell.
        return found
    found["coverage_trace"] = coverage_trace(bandit, log_policy_XK)
    found["max_leverage"] = float(leverage(bandit, log_policy_XK, covariance_DD).max())
    return found
