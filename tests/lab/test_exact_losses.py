"""The lab's losses are the trainer's very functions, and autograd agrees with gradients by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from lab_losses import component
from scipy.special import expit

from align_cli.bandit.instance import Array, Bandit, true_parameter
from align_cli.bandit.instances import random_linear, rare
from align_cli.bandit.law import PairLaw, on_policy, policy_reference, uniform
from align_cli.bandit.likelihood import maximum_likelihood
from align_cli.bandit.policy import centred_features, linear_softmax, log_ratio
from align_cli.bandit.preference import PairCounts, draw_preferences, win_probability
from align_cli.lab.descent import descend_linear
from align_cli.lab.exact import (
    expected_loss,
    gradient_of,
    group_labels,
    group_logps,
    labelled_pairs,
    linear_log_probs,
    pair_labels,
    pair_logps,
)
from align_cli.loss.pairwise import pairwise
from align_cli.loss.projection import projection
from align_cli.loss.scored import scored

THETA = np.array([0.4, -0.8, 0.3, 0.6])
BETA = 0.5


def slopes(name: str, chosen: Array, rejected: Array, gap: Array) -> tuple[Array, Array]:
    """d loss / d log-ratio of the chosen and of the rejected arm, by hand."""
    if name == "rebel":
        error = 2 * (chosen - rejected - gap)
        return error, -error
    if name == "squaredpo":
        margin = BETA * (chosen * np.exp(-chosen) - rejected * np.exp(-rejected))
        pull = -BETA * expit(-margin)
        return pull * (1 - chosen) * np.exp(-chosen), -pull * (1 - rejected) * np.exp(-rejected)
    pull = -BETA * expit(-BETA * (chosen - rejected))
    return pull, -pull


def by_hand(name: str, bandit: Bandit, law: PairLaw, theta_D: Array) -> Array:
    """Sum over contexts, pairs and labels, one at a time."""
    log_policy_XK = linear_softmax(bandit, theta_D)
    ratio_XK = log_ratio(bandit, log_policy_XK)
    rise_XKD = centred_features(bandit, log_policy_XK)
    out = np.zeros(bandit.dimension)
    for x, i, j in np.ndindex(law.joint.shape):
        drawn = law.context_X[x] * law.joint[x, i, j]
        for won, lost in ((i, j), (j, i)) if i != j else ():
            gap = bandit.reward_XK[x, won] - bandit.reward_XK[x, lost]
            up, down = slopes(name, ratio_XK[x, won], ratio_XK[x, lost], gap)
            out += drawn * expit(gap) * (up * rise_XKD[x, won] + down * rise_XKD[x, lost])
    return out


@pytest.mark.parametrize(
    ("name", "function", "settings"),
    [
        ("dpo", pairwise, {"beta": BETA}),
        ("rebel", scored, {}),
        ("squaredpo", pairwise, {"beta": BETA, "exponent_clip": None}),
    ],
)
def test_pair_losses_are_the_trainers_and_their_exact_gradients(
    name: str, function: Callable[..., Any], settings: dict[str, Any]
) -> None:
    loss = component(name, **settings)
    assert loss.function is function
    bandit = random_linear(11, beta=BETA)
    law = policy_reference(bandit, linear_softmax(bandit, THETA))
    theta_D = torch.tensor(THETA, requires_grad=True)
    value = expected_loss(bandit, law, linear_log_probs(bandit, theta_D), loss)
    assert value.dtype == torch.float64
    wanted_D = by_hand(name, bandit, law, THETA)
    np.testing.assert_allclose(gradient_of(value, theta_D), wanted_D, rtol=1e-10, atol=1e-14)
    assert np.abs(wanted_D).max() > 1e-3


def test_opos_loss_is_the_trainers_and_its_exact_gradient() -> None:
    loss = component("opo_absorbed", mu=2.0)
    assert loss.function is projection
    bandit = random_linear(12, beta=BETA)
    theta_D = torch.tensor(THETA, requires_grad=True)
    out = loss(
        groups=group_logps(linear_log_probs(bandit, theta_D)),
        ref_groups=group_logps(torch.from_numpy(bandit.log_reference_XK)),
        group_labels=group_labels(bandit),
    )
    value = torch.from_numpy(bandit.context_X) @ out.loss_G
    log_policy_XK = linear_softmax(bandit, THETA)
    weight_XK = np.exp(0.6 * bandit.reward_XK)
    drive_XK = weight_XK / weight_XK.mean(1, keepdims=True) - 1
    slope_XK = (2.0 * log_ratio(bandit, log_policy_XK) - drive_XK) / drive_XK.shape[1]
    wanted_D = np.einsum(
        "x,xk,xkd->d", bandit.context_X, slope_XK, centred_features(bandit, log_policy_XK)
    )
    np.testing.assert_allclose(gradient_of(value, theta_D), wanted_D, rtol=1e-10, atol=1e-14)


def test_the_weights_of_all_pairs_are_a_distribution_but_for_twins() -> None:
    bandit = random_linear(2)
    law = uniform(bandit)
    pair_B3, weight_B = labelled_pairs(bandit, law)
    assert float(weight_B.sum()) == pytest.approx(1 - 1 / 8)
    x, won, lost = pair_B3[5].tolist()
    chance = law.context_X[x] * 2 / 64 * win_probability(bandit)[x, won, lost]
    assert float(weight_B[5]) == pytest.approx(chance)


def mean_loss_gradient(bandit: Bandit, counts: PairCounts, theta: Array) -> Array:
    """Of the trainer's DPO loss over every drawn label."""
    theta_D = torch.tensor(theta, requires_grad=True)
    log_policy_XK = linear_log_probs(bandit, theta_D)
    reference_XK = torch.from_numpy(bandit.log_reference_XK)
    value = torch.zeros((), dtype=torch.float64)
    lost_P = counts.total_P - counts.wins_P
    for won_P, (one, other) in (
        (counts.wins_P, (counts.first_P, counts.second_P)),
        (lost_P, (counts.second_P, counts.first_P)),
    ):
        pair_B3 = torch.from_numpy(np.stack([counts.context_P, one, other], 1))
        out = component("dpo", beta=bandit.beta)(
            pairs=pair_logps(log_policy_XK, pair_B3),
            ref_pairs=pair_logps(reference_XK, pair_B3),
            pair_labels=pair_labels(bandit, pair_B3),
        )
        value = value + (torch.from_numpy(won_P) * out.loss_B).sum() / counts.total_P.sum()
    return gradient_of(value, theta_D)


def test_newton_ends_where_the_trainers_loss_is_flat() -> None:
    bandit = random_linear(8)
    law = on_policy(bandit, bandit.log_reference_XK)
    counts = draw_preferences(bandit, law, 5000, np.random.default_rng(0))
    fit = maximum_likelihood(bandit, counts)
    assert np.abs(mean_loss_gradient(bandit, counts, fit.parameter_D)).max() < 1e-8
    assert np.abs(mean_loss_gradient(bandit, counts, 0 * fit.parameter_D)).max() > 1e-3


def test_exact_steps_of_the_trainers_dpo_lead_to_the_optimum() -> None:
    bandit = rare(0.3, beta=1.0)
    law = uniform(bandit)
    found_D = descend_linear(
        bandit, law, component("dpo", beta=1.0), np.zeros(5), step=8.0, steps=300
    )
    np.testing.assert_allclose(found_D, true_parameter(bandit), atol=1e-3)
