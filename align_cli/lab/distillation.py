"""Reward distillation without noise: exact in linear classes, faster in tabular ones."""

import numpy as np

from align_cli.bandit.distillation import (
    distil_linear,
    distil_tabular,
    draw_gaps,
    mean_deviation,
)
from align_cli.bandit.instance import check_pairs
from align_cli.bandit.instances import rare, zipf
from align_cli.bandit.law import offline, on_policy
from align_cli.bandit.policy import kl_to_optimum, linear_softmax, optimum
from align_cli.lab.experiment import Measurement
from align_cli.seeds import derive


def linear_kls(rare_mass: float, source: str, *, pairs: int, seeds: int) -> list[Measurement]:
    """`kl` to the best policy, by seed, of least squares on true gaps in the linear class.

    `source`: best (pairs of the best policy) or reference.
    """
    bandit = rare(rare_mass)
    check_pairs(bandit, pairs)
    law = on_policy(bandit, optimum(bandit)) if source == "best" else offline(bandit)
    found = []
    for seed in range(seeds):
        draws = np.random.default_rng(derive("lab distillation", seed))
        parameter_D = distil_linear(bandit, *draw_gaps(bandit, law, pairs, draws))
        kl = kl_to_optimum(bandit, linear_softmax(bandit, parameter_D))
        found.append(Measurement(quantity="kl", at=pairs, seed=seed, value=kl))
    return found


def tabular_deviations(
    *, pairs: int, noise: float, seeds: int, arms: int = 2000
) -> list[Measurement]:
    """`deviation` by seed: mean |implicit - true reward| on zipf, pairs from the best policy.

    Instance and pairs are of the seed. `noise`: standard deviation of a gap's error [reward
    units]; 0: none.
    """
    found = []
    for seed in range(seeds):
        bandit = zipf(derive("lab zipf", seed), arms=arms)
        best_XK = optimum(bandit)
        draws = np.random.default_rng(derive("lab zipf pairs", seed, pairs))
        law = on_policy(bandit, best_XK)
        lift_XK = distil_tabular(bandit, *draw_gaps(bandit, law, pairs, draws, noise=noise))
        value = mean_deviation(bandit, best_XK, lift_XK)
        found.append(Measurement(quantity="deviation", at=pairs, seed=seed, value=value))
    return found
