"""Reward distillation without noise: exact in linear classes, faster in tabular ones."""

from collections.abc import Sequence

import numpy as np

from align_cli.bandit.distillation import (
    distil_linear,
    distil_tabular,
    draw_gaps,
    mean_deviation,
)
from align_cli.bandit.instance import Bandit
from align_cli.bandit.instances import zipf
from align_cli.bandit.law import PairLaw, on_policy
from align_cli.bandit.policy import kl_to_optimum, linear_softmax, optimum
from align_cli.seeds import derive

EXACT = 1e-12
"""A KL that only rounding keeps from 0 [nats]."""


def recovered(bandit: Bandit, law: PairLaw, *, pairs: int, seeds: int) -> float:
    """Share of runs in which least squares on true gaps finds the best policy exactly."""
    exact = 0
    for seed in range(seeds):
        draws = np.random.default_rng(derive("lab distillation", seed))
        parameter_D = distil_linear(bandit, *draw_gaps(bandit, law, pairs, draws))
        exact += kl_to_optimum(bandit, linear_softmax(bandit, parameter_D)) < EXACT
    return exact / seeds


def tabular_deviations(
    pairs: Sequence[int], *, noise: float, seeds: int, arms: int = 2000
) -> tuple[float, ...]:
    """Mean |deviation| of implicit from true rewards on zipf, pairs from the best policy.

    Settings:
        pairs: numbers of pairs to measure at.
        noise: standard deviation of a gap's error [reward units]; 0: none.
        seeds: how many runs, instance included, the mean is of.
        arms: of the instance.
    """
    found = []
    for many in pairs:
        total = 0.0
        for seed in range(seeds):
            bandit = zipf(derive("lab zipf", seed), arms=arms)
            best_XK = optimum(bandit)
            draws = np.random.default_rng(derive("lab zipf pairs", seed, many))
            law = on_policy(bandit, best_XK)
            lift_XK = distil_tabular(bandit, *draw_gaps(bandit, law, many, draws, noise=noise))
            total += mean_deviation(bandit, best_XK, lift_XK)
        found.append(total / seeds)
    return tuple(found)


def slope(size: Sequence[float], error: Sequence[float]) -> float:
    """d log error / d log size, by least squares."""
    return float(np.polyfit(np.log(size), np.log(error), 1)[0])
