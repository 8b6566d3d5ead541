"""Learners: likelihood within its ball, consistent, and least squares exact without noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_cli.bandit.diagnostics import contraction_factors
from align_cli.bandit.distillation import distil_linear, distil_tabular, draw_gaps, mean_deviation
from align_cli.bandit.instance import true_parameter
from align_cli.bandit.instances import poisson_chain, random_linear, rare, zipf
from align_cli.bandit.law import offline, on_policy, uniform
from align_cli.bandit.likelihood import RIDGE, NotConverged, maximum_likelihood, newton
from align_cli.bandit.policy import kl_to_optimum, linear_softmax, optimum
from align_cli.bandit.preference import PairCounts, draw_preferences
from align_cli.bandit.rounds import SAMPLERS, dpo_rounds
from align_cli.errors import ConfigError


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_the_estimator_is_consistent(seed: int) -> None:
    bandit = random_linear(seed)
    draws = np.random.default_rng(seed)
    law = uniform(bandit)
    kls = [
        kl_to_optimum(
            bandit,
            linear_softmax(
                bandit,
                maximum_likelihood(bandit, draw_preferences(bandit, law, many, draws)).parameter_D,
            ),
        )
        for many in (10**3, 10**7)
    ]
    assert kls[1] < 1e-4
    assert kls[1] < kls[0]


def agreeing(wins: int) -> PairCounts:
    one = np.ones(1, dtype=np.int64)
    return PairCounts(0 * one, one, 0 * one, wins * one, 10 * one, 0)


def test_labels_that_all_agree_stop_at_the_ball() -> None:
    bandit = poisson_chain()
    fit = maximum_likelihood(bandit, agreeing(10), radius=2.0)
    assert np.linalg.norm(fit.parameter_D) == pytest.approx(2.0, rel=1e-6)
    assert fit.ridge > RIDGE
    inside = maximum_likelihood(bandit, agreeing(6), radius=50.0)
    assert inside.parameter_D[0] == pytest.approx(np.log(6 / 4) / bandit.beta, rel=1e-4)
    assert inside.ridge == RIDGE


def test_without_a_pair_the_policy_is_the_reference() -> None:
    none = np.zeros(0, dtype=np.int64)
    fit = maximum_likelihood(rare(0.1), PairCounts(none, none, none, none, none, 7))
    assert not fit.parameter_D.any()


def test_newton_refuses_to_stop_half_way() -> None:
    row_PD = np.random.default_rng(0).normal(size=(20, 3))
    share_P = np.full(20, 1 / 20)
    with pytest.raises(NotConverged, match="after 1 steps"):
        newton(row_PD, share_P * 0.9, share_P, 1e-9, np.zeros(3), steps=1)


@pytest.mark.parametrize("many", [6, 60])
def test_true_gaps_are_recovered_exactly_once_they_span(many: int) -> None:
    bandit = rare(1e-2)
    law = on_policy(bandit, optimum(bandit))
    kls = []
    for seed in range(20):
        seen = draw_gaps(bandit, law, many, np.random.default_rng(seed))
        kls.append(kl_to_optimum(bandit, linear_softmax(bandit, distil_linear(bandit, *seen))))
    exact = np.mean(np.array(kls) < 1e-12)
    assert exact == 1 if many == 60 else exact < 0.5


def test_noise_ends_exact_recovery_and_falls_as_one_over_pairs() -> None:
    bandit = rare(1e-2)
    law = on_policy(bandit, optimum(bandit))
    means = []
    for many in (400, 3000):
        kls = [
            kl_to_optimum(bandit, linear_softmax(bandit, distil_linear(bandit, *seen)))
            for seed in range(40)
            for seen in [draw_gaps(bandit, law, many, np.random.default_rng(seed), noise=1.0)]
        ]
        assert min(kls) > 1e-6
        means.append(np.median(kls))
    # The notes: .067 at 400 and 9.5e-3 at 3,000.
    assert 0.03 < means[0] < 0.14
    assert 4e-3 < means[1] < 2e-2


def test_tabular_least_squares_is_exact_where_pairs_connect_all_arms() -> None:
    bandit = zipf(3, arms=12)
    counts, gap_P = draw_gaps(bandit, uniform(bandit), 2000, np.random.default_rng(0))
    lift_XK = distil_tabular(bandit, counts, gap_P)
    assert mean_deviation(bandit, optimum(bandit), lift_XK) < 1e-9
    assert mean_deviation(bandit, optimum(bandit), 0 * lift_XK) > 0.3


def test_rounds_keep_to_what_they_were_asked() -> None:
    bandit = rare(0.1)
    trail = dpo_rounds(
        bandit, SAMPLERS["on_policy"], np.random.default_rng(0), rounds=3, pairs=2000
    )
    assert [each.pairs for each in trail] == [0, 2000, 4000, 6000]
    assert trail[0].error == pytest.approx(np.linalg.norm(true_parameter(bandit)))
    assert len(contraction_factors([each.error for each in trail])) == 3
    with pytest.raises(ConfigError, match="4 pairs for 5"):
        dpo_rounds(bandit, SAMPLERS["offline"], np.random.default_rng(0), rounds=1, pairs=4)


def test_accumulating_rounds_of_one_law_is_one_larger_batch() -> None:
    bandit = rare(0.3)
    law = offline(bandit)
    draws = np.random.default_rng(5)
    batches = [draw_preferences(bandit, law, 500, draws) for _ in range(3)]
    merged = batches[0].and_(batches[1]).and_(batches[2])
    wanted = maximum_likelihood(
        bandit, merged, radius=1.5 * float(np.linalg.norm(true_parameter(bandit)))
    )
    trail = dpo_rounds(
        bandit, SAMPLERS["offline"], np.random.default_rng(5), rounds=3, pairs=500, accumulate=True
    )
    np.testing.assert_allclose(trail[-1].parameter_D, wanted.parameter_D, rtol=1e-6)
