"""Bandits through the whole loop: recorded pairs give the lab's estimate, and its predicted KL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from align_cli.bandit.diagnostics import predicted_kl
from align_cli.bandit.instance import Array
from align_cli.bandit.law import offline
from align_cli.bandit.likelihood import maximum_likelihood
from align_cli.bandit.named import asked
from align_cli.bandit.policy import kl_to_optimum, linear_softmax
from align_cli.bandit.preference import PairCounts
from align_cli.config.compose import compose
from align_cli.errors import AlignError, ConfigError
from align_cli.loop.rounds import run
from align_cli.report.reporter import Silent
from align_cli.report.result import RunResult
from align_cli.report.tables import closing_lines, columns, rows
from align_cli.rows import Completion, Prompt
from align_cli.store.tables import read_rows
from align_cli.train.full_batch import NotConverged
from align_cli.training_rows import Pair

RADIUS = 8.2


def bandit_run(outputs: Path, *words: str) -> RunResult:
    common = ("tracker=none", "threads=1", f"outputs={outputs}")
    return run(compose(["experiment=bandit_rare", *common, *words]), Silent())


def parameter(result: RunResult, number: int) -> Array:
    file = result.folder / f"round_{number:02d}" / "5_policy" / "model.safetensors"
    out: Array = load_file(file)["parameter"].numpy()
    return out


def recorded(result: RunResult, numbers: Sequence[int]) -> PairCounts:
    """The pairs of these rounds, chosen first, as they lie on disk."""
    found: list[list[int]] = []
    for number in numbers:
        here = result.folder / f"round_{number:02d}"
        prompts = {p.id: p for p in table(here / "1_prompts", "prompts", Prompt)}
        arms = {
            (c.prompt_id, c.index): c.token_ids[0]
            for c in table(here / "2_completions", "completions", Completion)
        }
        for pair in table(here / "4_pairs", "pairs", Pair):
            context = asked(prompts[pair.prompt_id].gold, "test")[1]
            sides = [arms[pair.prompt_id, side] for side in (pair.chosen, pair.rejected)]
            found.append([context, *sides, 1, 1])
    return PairCounts(*np.array(found).T, identical=0)


def table(folder: Path, name: str, row_type: Any) -> list[Any]:
    files = sorted(folder.rglob(f"{name}-*.parquet")) or sorted(folder.glob(f"*/{name}-*.parquet"))
    assert files, folder
    return [row for file in files for row in read_rows(file, row_type)]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bandits")


@pytest.fixture(scope="module")
def rare(outputs: Path) -> RunResult:
    return bandit_run(outputs, "task.prompts_per_round=1500", "schedule.rounds=4")


def test_each_round_is_the_labs_maximum_likelihood_on_its_recorded_pairs(rare: RunResult) -> None:
    prompts = table(rare.folder / "start" / "1_prompts", "prompts", Prompt)
    bandit = asked(prompts[0].gold, "test")[0]
    for number, lines in rare.rounds.items():
        counts = recorded(rare, [number])
        assert len(counts.wins_P) == lines["4_pairs"]["pair/count"]
        fit = maximum_likelihood(bandit, counts, radius=RADIUS)
        np.testing.assert_allclose(parameter(rare, number), fit.parameter_D, atol=1e-6)
        kl = kl_to_optimum(bandit, linear_softmax(bandit, fit.parameter_D))
        assert lines["6_scores"]["eval/kl_optimum_nats"] == pytest.approx(kl, rel=1e-6)
        assert lines["5_policy"]["after/grad_norm"] <= 1e-10
    ends = [lines["6_scores"]["eval/kl_optimum_nats"] for lines in rare.rounds.values()]
    assert rare.start["6_scores"]["eval/kl_optimum_nats"] > 2
    assert ends[-1] < 0.3
    assert rare.rounds[0]["6_scores"]["eval/coverage_trace"] < 300
    assert {lines["5_policy"]["after/unseen_directions"] for lines in rare.rounds.values()} == {0.0}


def test_the_table_shows_what_is_exact(rare: RunResult) -> None:
    assert columns(rare)[1:5] == ("KL*", "reward", "contracted", "coverage")
    assert rows(rare)[0]["KL*"] == "2.63e+00"
    assert rows(rare)[0]["contracted"] == "-"
    assert float(rows(rare)[1]["contracted"]) < 1.5
    assert "exact" in closing_lines(rare)[0]


def test_accumulated_rounds_within_a_ball_are_the_labs(outputs: Path) -> None:
    """Few pairs of rare arms: the unconstrained optimum lies outside the ball, or nowhere."""
    words = ("task.prompts_per_round=150", "schedule.rounds=2", "schedule.replay=all")
    short = bandit_run(outputs, *words, "schedule.radius=3.0")
    prompts = table(short.folder / "start" / "1_prompts", "prompts", Prompt)
    bandit = asked(prompts[0].gold, "test")[0]
    norms = []
    for number in range(2):
        fit = maximum_likelihood(bandit, recorded(short, range(number + 1)), radius=3.0)
        norms.append(float(np.linalg.norm(fit.parameter_D)))
        np.testing.assert_allclose(parameter(short, number), fit.parameter_D, atol=2e-4)
    assert max(norms) == pytest.approx(3.0, rel=1e-4)


def test_mean_kl_is_what_information_predicts(outputs: Path) -> None:
    """Offline rounds that each begin anew are independent fits: 12 of them in one run."""
    words = ("task=bandit_random", "task.prompts_per_round=800", "schedule.rounds=12")
    many = bandit_run(
        outputs, *words, "schedule.radius=null", "schedule.draw_from=initial",
        "schedule.train_from=initial",
    )  # fmt: skip
    prompts = table(many.folder / "start" / "1_prompts", "prompts", Prompt)
    bandit = asked(prompts[0].gold, "test")[0]
    kls = [lines["6_scores"]["eval/kl_optimum_nats"] for lines in many.rounds.values()]
    predicted = predicted_kl(bandit, offline(bandit), 800)
    spread = np.std(kls) / np.sqrt(len(kls))
    assert len(set(kls)) == 12
    assert abs(np.mean(kls) - predicted) < 3 * spread + 0.1 * predicted


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("squaredpo", []),
        ("ipo", []),
        ("reward_distillation", ["noise=none"]),
        ("opo", ["filter=none", "pairing=siblings", "sampler.n=4", "noise=none", "~loss.beta"]),
    ],
)
def test_other_losses_converge_too(outputs: Path, loss: str, words: list[str]) -> None:
    few = ("task.prompts_per_round=200", "schedule.rounds=1", "task.rare_mass=0.3")
    result = bandit_run(outputs, f"loss={loss}", *few, *words)
    last = result.rounds[0]
    assert last["5_policy"]["after/grad_norm"] <= 1e-10
    start = result.start["6_scores"]["eval/kl_optimum_nats"]
    assert last["6_scores"]["eval/kl_optimum_nats"] != pytest.approx(start)
    if loss == "reward_distillation":
        # Noiseless and linear: recovered exactly.
        assert last["6_scores"]["eval/kl_optimum_nats"] < 1e-9


def test_a_tabular_policy_converges_with_arms_that_few_pairs_show(outputs: Path) -> None:
    """Some arms win or lose all they are in: the ridge holds them, and Newton certifies it."""
    words = ("task=bandit_zipf", "policy=tabular", "task.arms=40", "task.prompts_per_round=300")
    result = bandit_run(outputs, *words, "schedule.rounds=1", "schedule.radius=null")
    fitted = result.rounds[0]["5_policy"]
    assert fitted["after/grad_norm"] <= 1e-10
    assert fitted["after/steps"] < 100
    assert fitted["after/unseen_directions"] >= 1  # What is added to all arms changes nothing.
    assert fitted["after/loss"] < np.log(2)


def test_methods_agree_and_steps_descend(outputs: Path) -> None:
    few = ("task.prompts_per_round=200", "schedule.rounds=1", "task.rare_mass=0.3")
    newton = bandit_run(outputs, *few, "schedule.radius=null", "schedule.ridge=1e-4")
    quasi = bandit_run(
        outputs, *few, "schedule.radius=null", "schedule.ridge=1e-4", "schedule.method=lbfgs",
        "schedule.gradient_tolerance=1e-7",
    )  # fmt: skip
    np.testing.assert_allclose(parameter(newton, 0), parameter(quasi, 0), atol=1e-2)
    steps = bandit_run(
        outputs, *few, "schedule=gradient_steps", "schedule.steps=20", "schedule.learning_rate=20",
        "~schedule.radius",
    )  # fmt: skip
    told = [line for line in (steps.folder / "metrics.jsonl").read_text().splitlines()]
    losses = [
        float(line.split('"train/loss": ')[1].split(",")[0])
        for line in told
        if "train/loss" in line
    ]
    assert losses[0] == pytest.approx(np.log(2))
    assert len(losses) == 20
    assert losses == sorted(losses, reverse=True)


def test_fewer_pairs_than_features_are_told(outputs: Path) -> None:
    few = bandit_run(outputs, "task.prompts_per_round=4", "schedule.rounds=1", "task.rare_mass=0.9")
    said = [line for line in closing_lines(few) if "directions" in line]
    pairs = few.rounds[0]["4_pairs"]["pair/count"]
    assert pairs < 5
    assert few.rounds[0]["5_policy"]["after/unseen_directions"] >= 5 - pairs
    assert said[0].startswith("round 0: in ")


def test_what_cannot_be_is_refused(outputs: Path) -> None:
    few = ("task.prompts_per_round=60", "schedule.rounds=1", "task.rare_mass=0.3")
    with pytest.raises(NotConverged, match=r"gradient's norm is .* wanted at most"):
        bandit_run(outputs, *few, "schedule.max_steps=2")
    with pytest.raises(ConfigError, match="method=newton only"):
        bandit_run(outputs, *few, "schedule.method=lbfgs")
    with pytest.raises(ConfigError, match=r"x0|no question"):
        bandit_run(outputs, "task=arithmetic", "loss.beta=0.1", "task.prompts_per_round=8")
    with pytest.raises(ConfigError, match="context alone"):
        bandit_run(outputs, *few, "sampler=contrast_modes")
    with pytest.raises(AlignError, match="right nor wrong"):
        bandit_run(outputs, *few, "pairing=first_right_first_wrong")
