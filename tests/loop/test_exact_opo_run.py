"""OPO on whole distributions, in a run: closed form, bounded, iterated, log surrogate."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_bandit_run import parameter
from test_exact_gradients_run import bandit_of, started

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.policy import tabular
from align_cli.batches import GroupLabels, GroupLogps
from align_cli.errors import ConfigError
from align_cli.lab.opo import bounded, closed_form, opo_drive
from align_cli.loss.drive import min_mu
from align_cli.loss.projection import projection
from align_cli.report.result import RunResult

ALPHA, MU = 0.4, 1.0
ONE = "schedule.rounds=1"
SHARP = ("loss=gopo", "loss.share=reference", "loss.score_scale=4")
"""Advantages so far apart that mu = 0.5 asks for probabilities below 0."""


def policy(result: RunResult, number: int) -> Array:
    return np.exp(tabular(bandit_of(result), parameter(result, number)))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("opo")


@pytest.fixture(scope="module")
def iterated(outputs: Path) -> RunResult:
    return started(outputs, "bandit_opo", "schedule.rounds=8")


def stepped(bandit: Bandit, policy_XK: Array) -> Array:
    drive, share = opo_drive(policy_XK, bandit.reward_XK, drive="escort", alpha=ALPHA)
    out: Array = policy_XK * (1 + closed_form(drive, share, MU))
    return out


def test_each_round_is_the_labs_projection_and_they_end_at_the_softmax_of_rewards(
    iterated: RunResult,
) -> None:
    bandit = bandit_of(iterated)
    policy_XK = np.exp(bandit.log_reference_XK)
    end_XK = np.exp(bandit.reward_XK) / np.exp(bandit.reward_XK).sum(1, keepdims=True)
    distances = []
    for number in range(8):
        policy_XK = stepped(bandit, policy_XK)
        np.testing.assert_allclose(policy(iterated, number), policy_XK, rtol=0, atol=1e-12)
        assert iterated.rounds[number]["5_policy"]["after/grad_norm"] <= 1e-10
        distances.append(np.abs(policy_XK - end_XK).sum(1).max() / 2)
    assert distances[-1] < 2e-3
    # Near the end an error falls to 1 - (1 - alpha) / mu of itself.
    assert distances[-1] / distances[-2] == pytest.approx(1 - (1 - ALPHA) / MU, rel=0.1)


def test_newton_on_the_same_loss_ends_there_too(iterated: RunResult, outputs: Path) -> None:
    solved = started(
        outputs, "bandit_opo", "schedule=to_convergence", "schedule.reference=previous", ONE
    )
    np.testing.assert_allclose(policy(solved, 0), policy(iterated, 0), rtol=0, atol=1e-7)


def test_the_bounded_projection_and_what_it_cuts(outputs: Path) -> None:
    words = (*SHARP, "loss.coordinate=bounded_ratio", "loss.mu=0.5", "schedule.rounds=2")
    with pytest.raises(ConfigError, match=r"leaves arm a\d of context x\d .* schedule.floor="):
        started(outputs, "bandit_opo", *words)
    run = started(outputs, "bandit_opo", *words, "schedule.floor=1e-200")
    bandit = bandit_of(run)
    policy_XK = np.exp(bandit.log_reference_XK)
    for number in range(2):
        drive, share = opo_drive(policy_XK, bandit.reward_XK, drive="advantage", score_scale=4.0)
        policy_XK = policy_XK * (1 + bounded(drive, share, 0.5))
        np.testing.assert_allclose(policy(run, number), policy_XK, rtol=0, atol=1e-12)
    assert (policy_XK == 0).any()
    assert np.isfinite(parameter(run, 1)).all()


def test_the_log_surrogate_is_stationary(outputs: Path) -> None:
    """By hand: d/dz of mean(-g Delta + mu/2 Delta^2) under the reference, z the logits."""
    run = started(
        outputs, "bandit_opo", "loss.coordinate=log_ratio", "schedule=to_convergence",
        "schedule.ridge=0", ONE,
    )  # fmt: skip
    bandit = bandit_of(run)
    reference_XK = np.exp(bandit.log_reference_XK)
    weight_XK = (np.exp(bandit.reward_XK) / reference_XK) ** (1 - ALPHA)
    drive_XK = weight_XK / (reference_XK * weight_XK).sum(1, keepdims=True) - 1
    delta_XK = tabular(bandit, parameter(run, 0)) - bandit.log_reference_XK
    slope_XK = reference_XK * (MU * delta_XK - drive_XK)
    slope_XK = slope_XK - policy(run, 0) * slope_XK.sum(1, keepdims=True)
    np.testing.assert_allclose(slope_XK, 0, atol=1e-9)
    assert np.abs(policy(run, 0) - stepped(bandit, reference_XK)).max() > 1e-3


@pytest.mark.parametrize("schedule", ["closed_form", "to_convergence"])
def test_mu_below_the_bound_is_refused_with_the_bound(
    iterated: RunResult, outputs: Path, schedule: str
) -> None:
    bandit = bandit_of(iterated)
    reference_XK = np.exp(bandit.log_reference_XK)
    drive, share = opo_drive(reference_XK, bandit.reward_XK, drive="advantage", score_scale=4.0)
    bound = float(min_mu(drive, share).max())
    assert bound > 0.5
    with pytest.raises(ConfigError, match=f"mu is 0.5, and below {bound:.6g}"):
        started(outputs, "bandit_opo", *SHARP, ONE, f"schedule={schedule}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["policy=linear_softmax"], "choose policy=tabular"),
        (["loss.coordinate=log_ratio"], "states no closed form"),
        (["sampler=best_of_n", "sampler.n=4", "task.prompts_per_round=4"], "gives .* in all"),
        (["sampler=best_of_n", "sampler.n=8", "loss.share=siblings"], "states no closed form"),
    ],
)
def test_what_has_no_closed_form_is_refused(outputs: Path, words: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        started(outputs, "bandit_opo", ONE, *words)


def test_an_answer_of_probability_0_is_named() -> None:
    groups = GroupLogps(
        torch.tensor([0.3, 0.7, 1e-9]).log(), torch.ones(3), torch.zeros(3).long(), 1
    )
    dead = GroupLogps(torch.tensor([0.3, 0.7, 0.0]).log(), groups.len_C, groups.group_C, 1)
    with pytest.raises(ConfigError, match="probability 0 to answer 2 of group 0"):
        projection(
            groups, dead, GroupLabels(torch.arange(3.0), None), mu=1.0, drive="advantage",
            coordinate="ratio", score_scale=1.0, share="reference",
        )  # fmt: skip
