"""Laws of a pair: distributions, mixtures that are what they say, and draws that follow them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_cli.bandit.instances import random_linear, rare
from align_cli.bandit.law import dpo_mix_p, dpo_mix_r, draw_arms, policy_reference, uniform
from align_cli.bandit.policy import linear_softmax, log_ratio
from align_cli.bandit.preference import draw_preferences, win_probability
from align_cli.bandit.rounds import SAMPLERS


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(sorted(SAMPLERS)))
def test_every_sampler_is_a_distribution_over_pairs(seed: int, name: str) -> None:
    bandit = random_linear(seed)
    policy_XK = linear_softmax(bandit, np.random.default_rng(seed).normal(size=4))
    law = SAMPLERS[name](bandit, policy_XK)
    assert law.context_X.sum() == pytest.approx(1)
    assert (law.joint >= 0).all()
    np.testing.assert_allclose(law.joint.sum((1, 2)), 1, rtol=1e-9)


def test_the_mixed_samplers_undo_the_logistic_slope() -> None:
    bandit = random_linear(4)
    policy_XK = linear_softmax(bandit, np.array([0.5, -1.0, 0.2, 1.0]))
    implicit_XK = bandit.beta * log_ratio(bandit, policy_XK)
    for law, reward_XK in (
        (dpo_mix_r(bandit), bandit.reward_XK),
        (dpo_mix_p(bandit, policy_XK), implicit_XK),
    ):
        gap_XKK = reward_XK[:, :, None] - reward_XK[:, None]
        weight_XKK = 2 + np.exp(gap_XKK) + np.exp(-gap_XKK)
        weight_XKK /= weight_XKK.sum((1, 2), keepdims=True)
        np.testing.assert_allclose(law.joint, weight_XKK, rtol=1e-12)


@pytest.mark.parametrize("many", [60, 200_000])
def test_draws_follow_the_law_on_either_path(many: int) -> None:
    bandit = random_linear(7, arms=9)
    policy_XK = linear_softmax(bandit, np.ones(4))
    law = policy_reference(bandit, policy_XK)
    draws = np.random.default_rng(0)
    count_XKK = np.zeros((3, 9, 9))
    repeats = 200_000 // many
    for _ in range(repeats):
        context, first, second, often = draw_arms(law, many, draws).T
        assert often.sum() == many
        count_XKK[context, first, second] += often
    total = repeats * many
    share_XKK = law.context_X[:, None, None] * law.joint
    deviation = (count_XKK - total * share_XKK) / np.sqrt(total * share_XKK + 1e-9)
    assert np.abs(deviation[total * share_XKK > 5]).max() < 5
    assert np.abs(deviation).mean() < 1


def test_labels_are_bradley_terrys_and_twins_are_counted() -> None:
    bandit = rare(1e-4)
    law = uniform(bandit)
    counts = draw_preferences(bandit, law, 400_000, np.random.default_rng(1))
    assert counts.drawn == 400_000
    assert counts.identical == pytest.approx(400_000 * np.trace(law.joint[0]), rel=0.02)
    wanted_P = win_probability(bandit)[counts.context_P, counts.first_P, counts.second_P]
    z_P = (counts.wins_P / counts.total_P - wanted_P) * np.sqrt(counts.total_P) * 2
    assert np.abs(z_P).max() < 5
    assert np.abs(wanted_P - 0.5).max() > 0.1
    assert counts.and_(counts).drawn == 800_000
