"""Designs: weights are a distribution, and the certificate is checked by other arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_cli.bandit.design import NotOptimal, anchored_design, g_optimal, hybrid, pair_design
from align_cli.bandit.diagnostics import information, kl_constant, leverage
from align_cli.bandit.instances import random_linear, rare, with_fillers
from align_cli.bandit.law import offline, on_policy
from align_cli.bandit.policy import centred_features, linear_softmax, optimum
from align_cli.bandit.rounds import SAMPLERS
from align_cli.errors import ConfigError


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 6), st.floats(1e-5, 1e-1))
def test_the_certificate_holds(seed: int, features: int, tolerance: float) -> None:
    row_ND = np.random.default_rng(seed).standard_t(2, size=(30, features))
    design = g_optimal(row_ND, tolerance=tolerance)
    assert (design.weight_N >= 0).all()
    assert design.weight_N.sum() == pytest.approx(1)
    moment_DD = row_ND.T @ np.diag(design.weight_N) @ row_ND
    most = max(row @ np.linalg.inv(moment_DD) @ row for row in row_ND)
    assert features - 1e-6 <= most <= features * (1 + tolerance) * (1 + 1e-6)
    assert design.max_leverage == pytest.approx(most)
    assert design.rank == features


def test_a_known_optimum_is_found() -> None:
    """The axes and short copies of them: all weight on the axes, alike."""
    row_ND = np.vstack([np.eye(3), 0.5 * np.eye(3), np.eye(3)])
    design = g_optimal(row_ND, tolerance=1e-9)
    np.testing.assert_allclose(design.weight_N, [1 / 6] * 3 + [0] * 3 + [1 / 6] * 3, atol=1e-8)


def test_rows_of_lower_rank_are_taken_in_their_span() -> None:
    row_ND = np.random.default_rng(0).normal(size=(20, 2)) @ np.ones((2, 4)).cumsum(1)
    assert g_optimal(row_ND).rank == 1
    with pytest.raises(ConfigError, match="same features"):
        g_optimal(np.zeros((4, 2)))


def test_a_design_without_its_certificate_is_refused() -> None:
    row_ND = np.random.default_rng(0).normal(size=(200, 5))
    with pytest.raises(NotOptimal, match=r"after 3 steps.*wanted at most 5"):
        g_optimal(row_ND, max_steps=3)
    with pytest.raises(ConfigError, match="tolerance"):
        g_optimal(row_ND, tolerance=0.0)


@pytest.mark.parametrize("rare_mass", [1e-1, 1e-6])
def test_the_anchored_design_reaches_d_whatever_the_policy_covers(rare_mass: float) -> None:
    bandit = with_fillers(rare(rare_mass), 500)
    weight_XK, design = anchored_design(bandit, bandit.log_reference_XK)
    centred_KD = centred_features(bandit, bandit.log_reference_XK)[0]
    moment_DD = (centred_KD * weight_XK[0][:, None]).T @ centred_KD
    most = leverage(bandit, bandit.log_reference_XK, moment_DD).max()
    assert most == pytest.approx(design.max_leverage, rel=1e-6)
    assert most <= 5 * 1.001 * (1 + 1e-9)
    assert design.steps < 200


def test_the_hybrid_tells_at_least_what_its_design_does() -> None:
    """E dphi dphi^T = M(G) + Cov_policy >= M(G), contexts as the design has them."""
    bandit = random_linear(3)
    policy_XK = linear_softmax(bandit, np.ones(4))
    weight_XK, _ = anchored_design(bandit, policy_XK)
    centred_XKD = centred_features(bandit, policy_XK)
    moment_DD = np.einsum("xk,xka,xkb->ab", weight_XK, centred_XKD, centred_XKD)
    law = hybrid(bandit, policy_XK)
    weight_XKK = law.context_X[:, None, None] * law.joint
    gap_XKKD = bandit.features[:, :, None] - bandit.features[:, None]
    seen_DD = np.einsum("xij,xija,xijb->ab", weight_XKK, gap_XKKD, gap_XKKD)
    assert np.linalg.eigvalsh(seen_DD - moment_DD).min() > 0


# The notes' constants n KL on rare; pi_0 x G(pi_0), and pi* x G(pi*) where it is named so.
CONSTANTS = {
    1e-2: {"offline": 9.9e3, "policy_reference": 280, "on_policy": 141, "g_optimal": 132,
           "pair_design": 97, "first": 196},
    1e-4: {"offline": 1.8e6, "policy_reference": 516, "on_policy": 181, "g_optimal": 174,
           "pair_design": 141, "first": 360},
    1e-6: {"offline": 3.9e8, "policy_reference": 1.1e3, "on_policy": 263, "g_optimal": 273,
           "pair_design": 252, "first": 779},
}  # fmt: skip


@pytest.mark.parametrize("rare_mass", CONSTANTS)
def test_the_samplers_constants_are_those_of_the_notes(rare_mass: float) -> None:
    bandit = rare(rare_mass)
    for name, wanted in CONSTANTS[rare_mass].items():
        at_XK = bandit.log_reference_XK if name == "first" else optimum(bandit)
        law = SAMPLERS["g_optimal" if name == "first" else name](bandit, at_XK)
        assert kl_constant(bandit, law) == pytest.approx(wanted, rel=0.025)


def test_information_by_pairs_is_information_by_matrices() -> None:
    bandit = random_linear(5)
    law = pair_design(bandit)
    wanted = np.zeros((4, 4))
    for x, i, j in np.ndindex(law.joint.shape):
        gap = bandit.reward_XK[x, i] - bandit.reward_XK[x, j]
        slope = 1 / (2 + np.exp(gap) + np.exp(-gap))
        row = bandit.features[x, i] - bandit.features[x, j]
        chance = law.context_X[x] * law.joint[x, i, j]
        wanted += bandit.beta**2 * chance * slope * np.outer(row, row)
    np.testing.assert_allclose(information(bandit, law), wanted, rtol=1e-10)
    assert kl_constant(bandit, on_policy(bandit, optimum(bandit))) < kl_constant(
        bandit, offline(bandit)
    )
