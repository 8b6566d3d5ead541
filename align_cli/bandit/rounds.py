"""Rounds of DPO on a bandit: draw pairs, label them, fit, and draw from what was fitted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from align_cli.bandit.design import design_design, hybrid, pair_design
from align_cli.bandit.instance import Array, Bandit, check_pairs, true_parameter
from align_cli.bandit.law import (
    PairLaw,
    dpo_mix_p,
    dpo_mix_r,
    offline,
    on_policy,
    policy_reference,
    policy_uniform,
    uniform,
)
from align_cli.bandit.likelihood import maximum_likelihood
from align_cli.bandit.policy import kl_to_optimum, linear_softmax
from align_cli.bandit.preference import draw_preferences

Sampler = Callable[[Bandit, Array], PairLaw]
"""From a problem and the policy of the round to how its pairs are drawn."""

LawName = Literal[
    "on_policy",
    "offline",
    "policy_reference",
    "policy_uniform",
    "uniform",
    "dpo_mix_r",
    "dpo_mix_p",
    "g_optimal",
    "g_by_g",
    "pair_design",
]

SAMPLERS: Final[Mapping[str, Sampler]] = {
    "on_policy": on_policy,
    "offline": lambda bandit, log_policy_XK: offline(bandit),
    "policy_reference": policy_reference,
    "policy_uniform": policy_uniform,
    "uniform": lambda bandit, log_policy_XK: uniform(bandit),
    "dpo_mix_r": lambda bandit, log_policy_XK: dpo_mix_r(bandit),
    "dpo_mix_p": dpo_mix_p,
    "g_optimal": hybrid,
    "g_by_g": design_design,
    "pair_design": lambda bandit, log_policy_XK: pair_design(bandit),
}
BALL: Final = 1.5
"""Radius of the parameter's ball, in norms of the true parameter."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Where a round ended."""

    parameter_D: Array
    kl: float
    """KL(pi* || policy) [nats]."""
    error: float
    """|theta - theta*|"""
    pairs: int
    """Drawn so far, all rounds together."""


def dpo_rounds(
    bandit: Bandit,
    sampler: Sampler,
    draws: np.random.Generator,
    *,
    rounds: int,
    pairs: int,
    accumulate: bool = False,
) -> tuple[Fitted, ...]:
    """The start and each round: pairs from the sampler at the last policy, DPO to convergence.

    The reference stays that of the bandit. theta is held to a ball of 1.5 |theta*|.

    Settings:
        rounds: how many.
        pairs: drawn per round, at least as many as features.
        accumulate: fit on the pairs of all rounds so far, instead of on the last's.
    """
    check_pairs(bandit, pairs)
    truth_D = true_parameter(bandit)
    radius = BALL * float(np.linalg.norm(truth_D))

    def seen(parameter_D: Array, drawn: int) -> Fitted:
        kl = kl_to_optimum(bandit, linear_softmax(bandit, parameter_D))
        return Fitted(parameter_D, kl, float(np.linalg.norm(parameter_D - truth_D)), drawn)

    trail = [seen(np.zeros(bandit.dimension), 0)]
    counts = None
    for number in range(rounds):
        law = sampler(bandit, linear_softmax(bandit, trail[-1].parameter_D))
        fresh = draw_preferences(bandit, law, pairs, draws)
        counts = counts.and_(fresh) if accumulate and counts is not None else fresh
        fit = maximum_likelihood(bandit, counts, radius=radius)
        trail.append(seen(fit.parameter_D, pairs * (number + 1)))
    return tuple(trail)
