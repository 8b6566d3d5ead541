"""Instances hold what they promise, and broken ones are refused with the figure that breaks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_cli.bandit.diagnostics import coverage_supremum, coverage_trace, density_supremum
from align_cli.bandit.instance import Bandit, check_pairs, nearest_parameter, true_parameter
from align_cli.bandit.instances import poisson_chain, random_linear, rare, with_fillers, zipf
from align_cli.bandit.policy import (
    kl,
    kl_to_optimum,
    linear_softmax,
    log_ratio,
    normalised,
    optimum,
    tabular,
)
from align_cli.errors import ConfigError


@pytest.mark.parametrize(("rare_mass", "trace"), [(1e-1, 30), (1e-2, 300), (1e-3, 2996)])
def test_rare_is_covered_as_badly_as_the_notes_have_it(rare_mass: float, trace: float) -> None:
    bandit = rare(rare_mass)
    assert np.exp(optimum(bandit))[0, 0] == pytest.approx(0.3, abs=1e-12)
    assert round(coverage_trace(bandit, bandit.log_reference_XK)) == trace
    assert coverage_trace(bandit, optimum(bandit)) == pytest.approx(bandit.dimension)
    assert coverage_supremum(bandit, bandit.log_reference_XK) > 1 / rare_mass
    # e_0 - e_j and e_0 + e_j share their mass unevenly at the optimum.
    assert density_supremum(bandit, bandit.log_reference_XK) > 0.7 / rare_mass


def test_the_optimum_is_the_linear_softmax_at_the_true_parameter() -> None:
    bandit = rare(1e-3)
    best = linear_softmax(bandit, true_parameter(bandit))
    np.testing.assert_allclose(best, optimum(bandit), atol=1e-9)
    assert kl_to_optimum(bandit, best) < 1e-15
    assert kl_to_optimum(bandit, bandit.log_reference_XK) == pytest.approx(4.2348, abs=1e-4)


def test_the_chains_optimum_is_a_poisson_too() -> None:
    bandit = poisson_chain()
    played_K = np.exp(optimum(bandit))[0]
    assert played_K @ np.arange(31) == pytest.approx(6.0, abs=1e-6)
    assert true_parameter(bandit) == pytest.approx(np.log(300))


def test_fillers_leave_the_problem_as_it_is() -> None:
    bandit, filled = rare(1e-3), with_fillers(rare(1e-3), 50)
    assert filled.reward_XK.shape == (1, 59)
    for log_policy in (lambda b: b.log_reference_XK, optimum):
        whole_K = np.exp(log_policy(filled))[0]
        assert whole_K[0] + whole_K[9:].sum() == pytest.approx(np.exp(log_policy(bandit))[0, 0])
    np.testing.assert_allclose(true_parameter(filled), true_parameter(bandit))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.lists(st.floats(-30, 30), min_size=4, max_size=4))
def test_policies_are_distributions_and_kl_is_not_negative(seed: int, theta: list[float]) -> None:
    bandit = random_linear(seed)
    policy_XK = linear_softmax(bandit, np.array(theta))
    np.testing.assert_allclose(np.exp(policy_XK).sum(1), 1, rtol=1e-12)
    assert kl_to_optimum(bandit, policy_XK) >= 0
    assert kl(bandit, policy_XK, policy_XK) == 0
    assert kl(bandit, policy_XK, bandit.log_reference_XK) == pytest.approx(
        bandit.context_X @ (np.exp(policy_XK) * log_ratio(bandit, policy_XK)).sum(1), abs=1e-9
    )
    np.testing.assert_allclose(
        tabular(bandit, bandit.features @ np.array(theta)), policy_XK, atol=1e-12
    )


def test_features_of_deficient_rank_are_refused_with_their_rank() -> None:
    bandit = rare(0.1)
    doubled = np.concatenate([bandit.features, bandit.features[:, :, :1]], axis=2)
    with pytest.raises(ConfigError, match="rank 5, and there are 6"):
        replace(bandit, feature_XKD=doubled)
    with pytest.raises(ConfigError, match="rank"):  # Constant within every context.
        replace(bandit, feature_XKD=np.ones((1, 9, 1)))


def test_an_arm_of_probability_0_is_named() -> None:
    bandit = rare(0.1)
    log_reference_XK = bandit.log_reference_XK.copy()
    log_reference_XK[0, 3] = -np.inf
    with pytest.raises(ConfigError, match=r"\(0, 3\)"):
        replace(bandit, log_reference_XK=log_reference_XK)
    with pytest.raises(ConfigError, match="sum to"):
        replace(bandit, log_reference_XK=bandit.log_reference_XK + 0.1)


def test_a_reward_that_is_not_linear_is_refused_with_its_misfit() -> None:
    bandit = rare(0.1)
    reward_XK = bandit.reward_XK.copy()
    reward_XK[0, 2] += 1
    bent = replace(bandit, reward_XK=reward_XK)
    _, misfit = nearest_parameter(bent)
    assert misfit > 0.1
    with pytest.raises(ConfigError, match=f"misses by {misfit:.3g}"):
        true_parameter(bent)


def test_fewer_pairs_than_features_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 pairs for 5 features"):
        check_pairs(rare(0.1), 4)


def test_a_bandit_without_features_says_so_where_they_are_wanted() -> None:
    with pytest.raises(ConfigError, match="no features"):
        linear_softmax(zipf(0, arms=10), np.zeros(1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beta": 0.0}, "beta is 0"),
        ({"context_X": np.array([0.9])}, "0.9 in all"),
        ({"reward_XK": np.zeros((1, 4))}, "do not fit"),
    ],
)
def test_other_mistakes(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(rare(0.1), **change)  # type: ignore[arg-type]


def test_zipf_falls_as_one_over_the_rank() -> None:
    bandit: Bandit = zipf(0, arms=100)
    share_K = np.exp(bandit.log_reference_XK)[0]
    assert share_K[9] == pytest.approx(share_K[0] / 10)
    np.testing.assert_allclose(normalised(bandit.log_reference_XK), bandit.log_reference_XK)
