"""Where a round starts, how far past its end the run goes, and that both serve their purpose."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_plan import settings
from torch import Tensor

from align_cli.errors import ConfigError
from align_cli.schedule.across_rounds import extrapolation_weight, momentum_age, trained_from
from align_cli.schedule.plan import Plan, plan

EXTRAGRADIENT = plan(**settings("extragradient"))
ITERATIVE = plan(**settings("iterative"))


@given(number=st.integers(0, 50))
def test_where_a_round_starts(number: int) -> None:
    assert trained_from(ITERATIVE, number) == number
    assert trained_from(replace(ITERATIVE, train_from="initial"), number) == 0
    start = trained_from(EXTRAGRADIENT, number)
    assert start % 2 == 0
    assert 0 <= number - start <= 1


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_momentum_ages_by_rounds_and_dies_with_a_fall(scores: list[float]) -> None:
    steady = replace(ITERATIVE, extrapolation=0.3)
    assert momentum_age(steady, scores) == len(scores) - 1
    age = momentum_age(replace(steady, restart="score_fell"), scores)
    falls = [k for k in range(1, len(scores)) if scores[k] < scores[k - 1]]
    assert age == len(scores) - 1 - (falls[-1] if falls else 0)


def test_the_two_sequences() -> None:
    constant = replace(ITERATIVE, extrapolation=0.4)
    nesterov = replace(constant, extrapolation=1.0, momentum="nesterov")
    assert [extrapolation_weight(constant, age) for age in range(4)] == [0, 0.4, 0.4, 0.4]
    assert [extrapolation_weight(nesterov, age) for age in range(4)] == [0, 1 / 4, 2 / 5, 3 / 6]
    assert extrapolation_weight(replace(nesterov, extrapolation=0.5), 3) == 0.25


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rounds": 3}, "rounds 3 is odd"),
        ({"reference": "previous"}, "reference=previous would hold"),
        ({"reference": "ema", "ema_decay": 0.9}, "reference=ema would hold"),
        ({"reference": "every_m", "reference_every": 3}, "even reference_every"),
        ({"extrapolation": 0.1}, "two ways to look ahead"),
    ],
)
def test_what_extragradient_cannot_be_joined_with(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan(**settings("extragradient", **changed))
    assert plan(**settings("extragradient", reference="every_m", reference_every=2))


def test_a_restart_needs_answers_of_the_policies_it_watches() -> None:
    offline = {"draw_from": "initial", "restart": "score_fell"}
    with pytest.raises(ConfigError, match="none of them draws"):
        plan(**settings("iterative", extrapolation=0.3, **offline))
    assert plan(**settings("iterative", extrapolation=0.0, **offline))


def rounds_of(
    schedule: Plan, start: Tensor, train: Callable[[Tensor, Tensor], Tensor], count: int
) -> list[Tensor]:
    """Thetas of `count` rounds; `train(start, current)` is one round, `current` the one that draws.

    The loop's own bookkeeping (align_cli/loop/rounds.py) without its stages.
    """
    policies, trained = [start], [start]
    for number in range(count):
        trained.append(train(policies[trained_from(schedule, number)], policies[-1]))
        weight = extrapolation_weight(schedule, number)
        policies.append(trained[-1] + weight * (trained[-1] - trained[-2]))
    return policies


WINS = torch.tensor([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]], dtype=torch.float64)
"""P(row beats column): each of three answers beats the next, so that none is best."""
BETA, RATE = 0.01, 1.0
INITIAL = torch.tensor([1.0, 0.0, -0.5], dtype=torch.float64)


def imitate_winner(start: Tensor, opponent: Tensor) -> Tensor:
    """EGPO's tabular step: th' = (1 - r beta) th + r beta (th_ref + P(. > opponent) / beta)."""
    wins = WINS @ torch.softmax(opponent, -1)
    return (1 - RATE * BETA) * start + RATE * BETA * (INITIAL + wins / BETA)


def regret(theta: Tensor) -> float:
    """Distance of theta from the regularised Nash point, where theta answers itself."""
    moved = (imitate_winner(theta, theta) - theta) / RATE
    return float((moved - moved.mean()).norm())


def test_on_a_three_cycle_extragradient_settles_where_plain_rounds_circle() -> None:
    plain = rounds_of(ITERATIVE, INITIAL, imitate_winner, 2000)
    ahead = rounds_of(EXTRAGRADIENT, INITIAL, imitate_winner, 2000)
    assert regret(ahead[-1]) < 1e-12
    assert min(regret(theta) for theta in plain[1000:]) > 0.1
    # The half steps settle with the whole ones.
    assert regret(ahead[-2]) < 1e-12


CURVATURE = torch.tensor([1.0, 0.01], dtype=torch.float64)


def proximal(start: Tensor, _: Tensor) -> Tensor:
    """argmin of 1/2 curvature x^2 + 1/2 |x - start|^2: a round held to where it began."""
    return start / (1 + CURVATURE)


@pytest.mark.parametrize(("weight", "momentum"), [(0.5, "constant"), (1.0, "nesterov")])
def test_extrapolated_rounds_get_further_along_a_flat_valley(weight: float, momentum: str) -> None:
    faster = plan(**settings("nesterov", extrapolation=weight, momentum=momentum))
    ones = torch.ones(2, dtype=torch.float64)
    plain = rounds_of(ITERATIVE, ones, proximal, 60)[-1].norm()
    assert rounds_of(faster, ones, proximal, 60)[-1].norm() < 0.6 * plain
    unmoved = replace(faster, extrapolation=0.0)
    assert torch.equal(rounds_of(unmoved, ones, proximal, 60)[-1].norm(), plain)
