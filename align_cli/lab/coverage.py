"""What coverage costs: on-policy rounds against offline pairs, and designs that need neither.

Paper: Kim et al. 2026, arXiv:2601.08421. **Reconstruction**: instances, the ball, fresh batches and
all constants are not confirmed by the paper's text; what it claims shows in them.
"""

from dataclasses import dataclass

import numpy as np

from align_cli.bandit.diagnostics import predicted_kl
from align_cli.bandit.instance import Bandit
from align_cli.bandit.instances import rare
from align_cli.bandit.likelihood import maximum_likelihood
from align_cli.bandit.policy import kl_to_optimum, linear_softmax, optimum
from align_cli.bandit.preference import draw_preferences
from align_cli.bandit.rounds import SAMPLERS, dpo_rounds
from align_cli.errors import AlignError
from align_cli.seeds import derive


class OutOfReach(AlignError):
    """A target that the largest allowed number of pairs does not reach."""


def median_kls(
    bandit: Bandit, sampler: str, *, rounds: int, pairs: int, seeds: int, accumulate: bool = False
) -> tuple[float, ...]:
    """KL to the optimum at the start and after each round, the median of seeds [nats]."""
    kl_ST = np.array(
        [
            [
                fitted.kl
                for fitted in dpo_rounds(
                    bandit,
                    SAMPLERS[sampler],
                    np.random.default_rng(derive("lab", sampler, seed)),
                    rounds=rounds,
                    pairs=pairs,
                    accumulate=accumulate,
                )
            ]
            for seed in range(seeds)
        ]
    )
    return tuple(float(each) for each in np.median(kl_ST, 0))


def coverage_exponential(
    rare_mass: float, *, pairs: int, rounds: int = 6, seeds: int = 20
) -> dict[str, tuple[float, ...]]:
    """{way of learning: median KL by round}; offline has seen as many pairs as the others.

    Settings:
        rare_mass: of instance rare.
        pairs, rounds, seeds: pairs per round, rounds, and how many runs the median is of.
    """
    bandit = rare(rare_mass)

    def kls(sampler: str, accumulate: bool) -> tuple[float, ...]:
        return median_kls(
            bandit, sampler, rounds=rounds, pairs=pairs, seeds=seeds, accumulate=accumulate
        )

    return {
        "on_policy": kls("on_policy", False),
        "on_policy_accumulated": kls("on_policy", True),
        "offline": kls("offline", True),
    }


@dataclass(frozen=True, slots=True)
class Needed:
    """Total pairs, all rounds together, that a target takes."""

    total: int
    reached_kl: float


def samples_to_target(
    rare_mass: float,
    sampler: str,
    *,
    rounds: int,
    target_kl: float = 0.05,
    seeds: int = 9,
    most: int = 10_000_000,
) -> Needed:
    """The least total on a grid of 16 per decade whose median KL meets the target.

    Bisection, which takes the median KL to fall with the number of pairs.

    Settings:
        rare_mass: of instance rare.
        sampler, rounds: the way of learning.
        target_kl: [nats].
        seeds: how many runs the median is of.
        most: total pairs beyond which the target counts as out of reach.
    """
    bandit = rare(rare_mass)

    def kl_at(place: int) -> float:
        pairs = round(10 ** (place / 16))
        return median_kls(bandit, sampler, rounds=rounds, pairs=pairs, seeds=seeds)[-1]

    low, high = 16, int(16 * np.log10(most / rounds))
    reached = kl_at(high)
    if reached > target_kl:
        raise OutOfReach(
            f"samples_to_target: {sampler} at rare_mass {rare_mass:g} is at KL {reached:.3g} after "
            f"{most} pairs; wanted {target_kl:g}. Allow more pairs, or take a larger target"
        )
    while high - low > 1:
        middle = (low + high) // 2
        kl = kl_at(middle)
        if kl <= target_kl:
            high, reached = middle, kl
        else:
            low = middle
    return Needed(rounds * round(10 ** (high / 16)), reached)


def prediction(
    bandit: Bandit, sampler: str, *, pairs: int, seeds: int = 400
) -> tuple[float, float]:
    """(predicted, measured mean) KL of one fit on pairs drawn at the optimum's law [nats]."""
    law = SAMPLERS[sampler](bandit, optimum(bandit))
    total = 0.0
    for seed in range(seeds):
        draws = np.random.default_rng(derive("lab prediction", sampler, seed))
        fit = maximum_likelihood(bandit, draw_preferences(bandit, law, pairs, draws))
        total += kl_to_optimum(bandit, linear_softmax(bandit, fit.parameter_D))
    return predicted_kl(bandit, law, pairs), total / seeds
