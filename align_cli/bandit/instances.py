"""Instances: small problems, each of which shows one thing."""

import numpy as np
from scipy.special import gammaln

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.policy import normalised
from align_cli.errors import ConfigError

DIRECTIONS_SEED = 0
"""Of the parameter of `rare` across its rare arms: one instance, whatever the run's seed."""


def rare(rare_mass: float, *, beta: float = 0.2, best_mass: float = 0.7, axes: int = 4) -> Bandit:
    """One common arm, and a cluster of arms that the reference hardly plays and the optimum does.

    One context. Arm 0 has phi = 0 and mass 1 - rare_mass; 2 axes arms e_0 +- e_j share rare_mass.
    theta*_j = 0.5 N(0, 1); theta*_0 is such that the best policy plays arm 0 with 1 - best_mass.

    Settings:
        rare_mass: of the cluster under the reference, in (0, 1): how badly the optimum is covered.
        beta: inverse temperature of the leash.
        best_mass: of the cluster under the best policy, in (0, 1).
        axes: features besides the first; D = axes + 1.
    """
    for name, share in (("rare_mass", rare_mass), ("best_mass", best_mass)):
        if not 0 < share < 1:
            raise ConfigError(f"bandit rare: {name} is {share}; it must lie in (0, 1)")
    directions_JD = np.zeros((2 * axes, axes + 1))
    directions_JD[:, 0] = 1
    directions_JD[0::2, 1:] = np.eye(axes)
    directions_JD[1::2, 1:] = -np.eye(axes)
    feature_KD = np.vstack([np.zeros(axes + 1), directions_JD])
    reference_K = np.r_[1 - rare_mass, np.full(2 * axes, rare_mass / (2 * axes))]
    parameter_D = np.r_[0, 0.5 * np.random.default_rng(DIRECTIONS_SEED).normal(size=axes)]
    lift = reference_K[1:] @ np.exp(directions_JD @ parameter_D)
    parameter_D[0] = np.log(best_mass / (1 - best_mass) * reference_K[0] / lift)
    return linear(feature_KD, np.log(reference_K), parameter_D, beta)


def poisson_chain(
    *, rate: float = 0.02, parameter: float = float(np.log(300)), beta: float = 0.08, last: int = 30
) -> Bandit:
    """Arms 0 to last, reference ~ rate^k / k!, phi = k: coverage improves smoothly on the way.

    Settings:
        rate: of the reference, > 0; that of the best policy is rate exp(parameter).
        parameter: theta*.
        beta: inverse temperature of the leash.
        last: the last arm; the chain is cut there.
    """
    if rate <= 0:
        raise ConfigError(f"bandit poisson_chain: rate is {rate}; it must be above 0")
    arm_K = np.arange(last + 1.0)
    log_reference_K = arm_K * np.log(rate) - gammaln(arm_K + 1)
    return linear(arm_K[:, None], normalised(log_reference_K), np.array([parameter]), beta)


def zipf(seed: int, *, arms: int = 2000, beta: float = 1.0) -> Bandit:
    """Tabular: reference ~ 1 / rank, rewards N(0, 1), no features.

    Settings:
        arms: how many.
        beta: inverse temperature of the leash.
    """
    log_reference_1K = normalised(-np.log(np.arange(1.0, arms + 1)))[None]
    reward_1K = np.random.default_rng(seed).normal(size=(1, arms))
    return Bandit(np.ones(1), log_reference_1K, reward_1K, beta)


def random_linear(
    seed: int,
    *,
    contexts: int = 3,
    arms: int = 8,
    features: int = 4,
    beta: float = 0.5,
    misfit: float = 0.0,
) -> Bandit:
    """Normal features and parameter, Dirichlet reference and contexts.

    Settings:
        contexts, arms, features: X, K, D; D <= X (K - 1), or the features lack rank.
        beta: inverse temperature of the leash.
        misfit: deviation of normal errors that keep rewards from being linear [reward units].
    """
    draws = np.random.default_rng(seed)
    feature_XKD = draws.normal(size=(contexts, arms, features))
    log_reference_XK = normalised(np.log(draws.gamma(1.0, size=(contexts, arms)) + 1e-3))
    parameter_D = draws.normal(size=features) / np.sqrt(features)
    share_X = draws.dirichlet(np.full(contexts, 5.0))
    reward_XK = beta * feature_XKD @ parameter_D
    reward_XK = reward_XK + misfit * draws.normal(size=reward_XK.shape)
    return Bandit(share_X, log_reference_XK, reward_XK, beta, feature_XKD)


def with_fillers(bandit: Bandit, fillers: int, *, arm: int = 0) -> Bandit:
    """The same problem with useless copies: the mass of one arm is split with its copies.

    Uniform pairing wastes nearly all its labels on them; a design does not.
    """
    if fillers < 0:
        raise ConfigError(f"bandit: {fillers} fillers; wanted 0 or more")
    log_reference_XK = bandit.log_reference_XK.copy()
    log_reference_XK[:, arm] -= np.log(fillers + 1)

    def extended(value: Array) -> Array:
        return np.concatenate([value, np.repeat(value[:, arm : arm + 1], fillers, axis=1)], axis=1)

    feature_XKD = None if bandit.feature_XKD is None else extended(bandit.feature_XKD)
    return Bandit(
        bandit.context_X,
        extended(log_reference_XK),
        extended(bandit.reward_XK),
        bandit.beta,
        feature_XKD,
    )


def linear(feature_KD: Array, log_reference_K: Array, parameter_D: Array, beta: float) -> Bandit:
    """One context, rewards beta <theta*, phi>."""
    return Bandit(
        context_X=np.ones(1),
        log_reference_XK=log_reference_K[None],
        reward_XK=beta * (feature_KD @ parameter_D)[None],
        beta=beta,
        feature_XKD=feature_KD[None],
    )
