"""What coverage costs: on-policy rounds against offline pairs, and designs that need neither.

Paper: Kim et al. 2026, arXiv:2601.08421. **Reconstruction**: instances, the ball, fresh batches and
all constants are not confirmed by the paper's text; what it claims shows in them.
"""

import numpy as np

from align_cli.bandit.diagnostics import coverage_trace, kl_constant, predicted_kl
from align_cli.bandit.instance import Bandit, check_pairs
from align_cli.bandit.instances import rare, with_fillers
from align_cli.bandit.likelihood import maximum_likelihood
from align_cli.bandit.policy import kl_to_optimum, linear_softmax, optimum
from align_cli.bandit.preference import draw_preferences
from align_cli.bandit.rounds import SAMPLERS, Fitted, dpo_rounds
from align_cli.errors import ConfigError
from align_cli.lab.experiment import Measurement
from align_cli.seeds import derive

PER_DECADE = 16
"""Grid of `samples_to_target`: so many numbers of pairs in a decade."""


class OutOfReach(ConfigError):
    """A target that the largest allowed number of pairs does not reach."""


def instance(rare_mass: float, fillers: int = 0) -> Bandit:
    """`rare`, with useless copies of its common arm."""
    return with_fillers(rare(rare_mass), fillers)


def runs(
    bandit: Bandit, sampler: str, *, rounds: int, pairs: int, seeds: int, accumulate: bool = False
) -> list[tuple[Fitted, ...]]:
    """The start and each round, of every seed."""
    return [
        dpo_rounds(
            bandit,
            SAMPLERS[sampler],
            np.random.default_rng(derive("lab", sampler, seed)),
            rounds=rounds,
            pairs=pairs,
            accumulate=accumulate,
        )
        for seed in range(seeds)
    ]


def rounds_of_dpo(
    rare_mass: float,
    sampler: str,
    *,
    rounds: int,
    pairs: int,
    seeds: int,
    accumulate: bool = False,
    fillers: int = 0,
) -> list[Measurement]:
    """`kl`, `error` and `coverage` of the policy at the start (0) and after each round.

    kl is KL(pi* || policy) [nats], error |theta - theta*|, coverage tr(V* V_policy^-1), which is
    the number of features at the optimum.
    """
    bandit = instance(rare_mass, fillers)
    found = []
    for seed, trail in enumerate(
        runs(bandit, sampler, rounds=rounds, pairs=pairs, seeds=seeds, accumulate=accumulate)
    ):
        for number, fitted in enumerate(trail):
            policy_XK = linear_softmax(bandit, fitted.parameter_D)
            seen = (
                ("kl", fitted.kl),
                ("error", fitted.error),
                ("coverage", coverage_trace(bandit, policy_XK)),
            )
            found += [
                Measurement(quantity=name, at=number, seed=seed, value=value)
                for name, value in seen
            ]
    return found


def median_kls(
    bandit: Bandit, sampler: str, *, rounds: int, pairs: int, seeds: int
) -> tuple[float, ...]:
    """KL to the optimum at the start and after each round, the median of seeds [nats]."""
    trails = runs(bandit, sampler, rounds=rounds, pairs=pairs, seeds=seeds)
    kl_ST = np.array([[fitted.kl for fitted in trail] for trail in trails])
    return tuple(float(each) for each in np.median(kl_ST, 0))


def samples_to_target(
    rare_mass: float, sampler: str, *, rounds: int, target_kl: float, seeds: int, most: int
) -> list[Measurement]:
    """`total`: the least number of pairs, all rounds together, whose median KL meets the target.

    Found on a grid of 16 per decade by bisection, which takes the median KL to fall with the
    number of pairs. `kl` is what was reached there, `asymptotic` what the total would be if the
    error were that of large samples from the start: rounds x constant / target.
    """
    bandit = rare(rare_mass)

    def pairs_at(place: int) -> int:
        return round(10 ** (place / PER_DECADE))

    def kl_at(place: int) -> float:
        return median_kls(bandit, sampler, rounds=rounds, pairs=pairs_at(place), seeds=seeds)[-1]

    check_pairs(bandit, most // rounds)
    low, high = PER_DECADE, int(PER_DECADE * np.log10(most / rounds))
    reached = kl_at(high)
    if reached > target_kl:
        raise OutOfReach(
            f"samples_to_target: {sampler} at rare_mass {rare_mass:g} is at a median KL of "
            f"{reached:.3g} after {rounds} x {pairs_at(high)} pairs; wanted {target_kl:g}. Allow "
            f"more pairs (lab.most is {most}), or take a larger lab.target_kl"
        )
    while high - low > 1:
        middle = (low + high) // 2
        kl = kl_at(middle)
        if kl <= target_kl:
            high, reached = middle, kl
        else:
            low = middle
    constant = kl_constant(bandit, SAMPLERS[sampler](bandit, optimum(bandit)))
    numbers = {
        "total": rounds * pairs_at(high),
        "kl": reached,
        "asymptotic": rounds * constant / target_kl,
    }
    return [
        Measurement(quantity=name, at=rare_mass, seed=None, value=float(value))
        for name, value in numbers.items()
    ]


def fitted_at_the_optimum(
    rare_mass: float, sampler: str, *, pairs: int, seeds: int
) -> list[Measurement]:
    """`kl` of one fit by seed, on pairs drawn at the best policy's law; `predicted`, its mean."""
    bandit = rare(rare_mass)
    check_pairs(bandit, pairs)
    law = SAMPLERS[sampler](bandit, optimum(bandit))
    predicted = predicted_kl(bandit, law, pairs)
    found = [Measurement(quantity="predicted", at=pairs, seed=None, value=predicted)]
    for seed in range(seeds):
        draws = np.random.default_rng(derive("lab prediction", sampler, seed))
        fit = maximum_likelihood(bandit, draw_preferences(bandit, law, pairs, draws))
        kl = kl_to_optimum(bandit, linear_softmax(bandit, fit.parameter_D))
        found.append(Measurement(quantity="kl", at=pairs, seed=seed, value=kl))
    return found


def constant(rare_mass: float, sampler: str, *, fillers: int = 0) -> float:
    """lim n E KL of pairs drawn at the best policy's law [nats x pairs]."""
    bandit = instance(rare_mass, fillers)
    return kl_constant(bandit, SAMPLERS[sampler](bandit, optimum(bandit)))
