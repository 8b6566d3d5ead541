"""Expectations in place of draws, through the whole loop: the lab's population minimum, exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_bandit_run import parameter, recorded, table

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw, offline, on_policy, policy_uniform
from align_cli.bandit.likelihood import newton
from align_cli.bandit.named import asked
from align_cli.bandit.policy import linear_softmax
from align_cli.bandit.preference import feature_differences
from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.config.compose import compose
from align_cli.errors import ConfigError
from align_cli.lab.exact import expected_loss, gradient_of, labelled_pairs, linear_log_probs
from align_cli.loop.rounds import run
from align_cli.loss.pairwise import pairwise
from align_cli.report.reporter import Silent
from align_cli.report.result import RunResult
from align_cli.rows import Prompt
from align_cli.training_rows import Pair

MISFIT = ("task=bandit_random", "task.misfit=0.3", "policy.reward=any", "schedule.radius=null")


def started(outputs: Path, experiment: str, *words: str) -> RunResult:
    common = (f"experiment={experiment}", "tracker=none", "threads=1", f"outputs={outputs}")
    return run(compose([*common, *words]), Silent())


def bandit_of(result: RunResult) -> Bandit:
    return asked(table(result.folder / "start" / "1_prompts", "prompts", Prompt)[0].gold, "test")[0]


def population_minimum(bandit: Bandit, law: PairLaw) -> Array:
    """DPO's parameter for infinitely many pairs of the law: a logistic regression."""
    pair_B3, weight_B = (each.numpy() for each in labelled_pairs(bandit, law))
    context_B, winner_B, loser_B = pair_B3.T
    row_BD = bandit.features[context_B, winner_B] - bandit.features[context_B, loser_B]
    share_B = weight_B / weight_B.sum()
    start_D = np.zeros(bandit.dimension)
    return newton(bandit.beta * row_BD, share_B, share_B, 0.0, start_D).parameter_D


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exact")


@pytest.fixture(scope="module")
def exact(outputs: Path) -> RunResult:
    return started(outputs, "bandit_exact", "schedule.rounds=2")


def test_each_round_is_the_population_minimum_of_its_own_law(exact: RunResult) -> None:
    bandit = bandit_of(exact)
    start_D = np.zeros(bandit.dimension)
    for number in range(2):
        wanted_D = population_minimum(bandit, on_policy(bandit, linear_softmax(bandit, start_D)))
        np.testing.assert_allclose(parameter(exact, number), wanted_D, rtol=0, atol=1e-6)
        start_D = wanted_D
        assert exact.rounds[number]["5_policy"]["after/grad_norm"] <= 1e-10
    # Rewards are not linear, so that the law matters: the rounds differ by far more than 1e-6.
    assert np.abs(parameter(exact, 1) - parameter(exact, 0)).max() > 1e-2


def test_gradients_of_drawn_rounds_scatter_around_the_exact_one(
    exact: RunResult, outputs: Path
) -> None:
    """Offline rounds that each begin anew are independent batches; compared at one theta."""
    drawn = started(
        outputs, "bandit_rare", *MISFIT, "task.prompts_per_round=400", "schedule.rounds=8",
        "schedule.draw_from=initial", "schedule.train_from=initial",
    )  # fmt: skip
    bandit = bandit_of(drawn)
    theta_D = np.array([0.3, -0.5, 0.2, 0.4])

    def slope(difference_PD: Array) -> Array:
        """Of -log sigmoid(beta <theta, difference>), pair by pair, by hand."""
        chance_P = 1 / (1 + np.exp(bandit.beta * difference_PD @ theta_D))
        return -bandit.beta * chance_P[:, None] * difference_PD

    batches = [
        slope(feature_differences(bandit, recorded(drawn, [n]))).mean(0) for n in drawn.rounds
    ]
    pairs = table(exact.folder / "round_00" / "4_pairs", "pairs", Pair)
    weight_P1, right_P1 = (
        np.array([getattr(pair, name) for pair in pairs])[:, None] for name in ("weight", "p_right")
    )
    difference_PD = feature_differences(bandit, recorded(exact, [0]))
    both_PD = right_P1 * slope(difference_PD) + (1 - right_P1) * slope(-difference_PD)
    exact_D = (weight_P1 * both_PD).mean(0)

    at_D = torch.tensor(theta_D, requires_grad=True)

    def loss(pairs: PairLogps, ref_pairs: PairLogps, pair_labels: PairLabels) -> PairLoss:
        return pairwise(pairs, ref_pairs, beta=bandit.beta)

    lab = expected_loss(bandit, offline(bandit), linear_log_probs(bandit, at_D), loss)
    differing = float(labelled_pairs(bandit, offline(bandit))[1].sum())
    np.testing.assert_allclose(exact_D, gradient_of(lab, at_D) / differing, rtol=0, atol=1e-12)
    error_D = np.std(batches, axis=0, ddof=1) / np.sqrt(len(batches))
    assert (np.abs(np.mean(batches, 0) - exact_D) < 4 * error_D).all()
    assert (error_D < 0.2 * np.abs(exact_D).max()).all()


def test_ties_and_another_law(outputs: Path) -> None:
    """Realisable rewards are found by any law that draws all pairs; copies of an arm tie."""
    tied = started(
        outputs, "bandit_exact", "task=bandit", "task.fillers=2", "~task.misfit",
        "schedule.rounds=1", "filter.law=policy_uniform",
    )  # fmt: skip
    bandit = bandit_of(tied)
    pairs = table(tied.folder / "round_00" / "4_pairs", "pairs", Pair)
    assert len(pairs) == 11 * 10 / 2
    assert [pair.p_right for pair in pairs if pair.tied] == [0.5] * 3
    # One arm of the policy, here the reference, and one of all alike: by hand.
    counts, chance_K = recorded(tied, [0]), np.exp(bandit.log_reference_XK[0])
    either_P = chance_K[counts.first_P] + chance_K[counts.second_P]
    weight_P = [pair.weight for pair in pairs]
    np.testing.assert_allclose(weight_P, either_P / either_P.mean(), rtol=1e-12)
    assert tied.rounds[0]["6_scores"]["eval/kl_optimum_nats"] < 1e-10
    wanted_D = population_minimum(bandit, policy_uniform(bandit, bandit.log_reference_XK))
    np.testing.assert_allclose(parameter(tied, 0), wanted_D, rtol=0, atol=1e-6)
    told = tied.rounds[0]["5_policy"]
    share_P = np.array([pair.weight for pair in pairs]) / len(pairs)
    margin = share_P @ [pair.margin for pair in pairs]
    assert tied.rounds[0]["4_pairs"]["pair/margin"] == pytest.approx(margin)
    # At the optimum implicit rewards are the rewards, so the weighted means are the same.
    assert told["after/reward_margin"] == pytest.approx(margin, rel=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sampler.most_pairs=83"], r"3 contexts of 8 arms make 84 pairs, .* allows 83"),
        (["task.prompts_per_round=9"], r"9 questions of 3 contexts; set .*prompts_per_round=null"),
        (
            ["task=arithmetic", "~task.misfit", "task.prompts_per_round=8", "loss.beta=0.1"],
            "bandit",
        ),
        (["noise=plackett_luce"], r"has margin .* and its rewards differ by"),
        (["pairing=best_worst", "~pairing.ties"], r"make 84, and the round has 3 pairs"),
        (["loss=aot"], "loss of one depends on the others"),
        (["loss=reward_distillation"], "soften labels, and loss=reward_distillation"),
    ],
)
def test_what_cannot_be_exact_is_refused(outputs: Path, words: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        started(outputs, "bandit_exact", "schedule.rounds=1", *words)


def test_distillation_keeps_the_labels(outputs: Path) -> None:
    """Least squares of true gaps under the law: checked by its normal equations."""
    result = started(
        outputs, "bandit_exact", "schedule.rounds=1", "loss=reward_distillation",
        "filter.labels=keep",
    )  # fmt: skip
    bandit = bandit_of(result)
    pairs = table(result.folder / "round_00" / "4_pairs", "pairs", Pair)
    weight_P = np.array([pair.weight for pair in pairs])
    row_PD = bandit.beta * feature_differences(bandit, recorded(result, [0]))
    left_P = np.array([pair.margin for pair in pairs]) - row_PD @ parameter(result, 0)
    np.testing.assert_allclose(row_PD.T @ (weight_P * left_P), 0, atol=1e-8)
