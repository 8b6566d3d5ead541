"""From pairs to a run that is judged by what was learned from them."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from reward_models import train_rm
from safetensors.torch import load_file, save_file
from small_runs import run_small

from align_cli.errors import AlignError, ConfigError
from align_cli.model import judge as judges
from align_cli.rows import Label
from align_cli.store.run_folder import rows_at
from align_cli.training_rows import Pair

TWO_STEPS = ("task.min_steps=2", "task.max_steps=2", "task.first_max=9")
PAIRS = (
    *TWO_STEPS, "task.prompts_per_round=1200", "task.heldout_prompts=4", "evaluation.samples=0",
    "schedule.rounds=1", "pairing=all_right_wrong", "sampler.n=4", "schedule.batch_size=512",
    "schedule.micro_batch_size=64", "engine.shard_draws=4096", "loss=simpo", "name=pairs",
)  # fmt: skip


@pytest.fixture(autouse=True)
def threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def trained(outputs: Path) -> Any:
    """A reward model of the bundled policy's own pairs: about 2,000, judged by verifier=exact."""
    run = run_small(outputs, *PAIRS)
    assert run.rounds[0]["4_pairs"]["pair/count"] > 1500
    words = ("preference=recorded", f"preference.path={run.folder}", "train.epochs=3")
    sizes = ("train.batch_size=16", "train.micro_batch_size=16", "train.probe_pairs=64")
    more = ("train.learning_rate=0.001", "train.checkpoint_every=1000", "name=rm")
    return train_rm(outputs, *words, *sizes, *more)


def judged_run(outputs: Path, folder: Path, *words: str) -> Any:
    small = ("schedule.rounds=1", "sampler.n=4", "pairing=best_worst", *TWO_STEPS)
    return run_small(outputs, *small, "verifier=reward_model", f"verifier.path={folder}", *words)


def test_it_ranks_nine_of_ten_pairs_of_unseen_prompts(trained: Any) -> None:
    told = trained.metrics
    assert told["rm/heldout_pairs"] > 200
    assert told["rm/heldout_accuracy"] >= 0.9
    assert told["rm/heldout_nll"] < 0.4
    assert told["rm/heldout_ece"] < 0.15


def test_a_run_is_judged_by_it_and_examined_by_another(outputs: Path, trained: Any) -> None:
    run = judged_run(outputs, trained.model, "evaluation.verifier=exact", "name=judged")
    labels = rows_at(run.folder / "round_00/3_labels", "labels", Label)
    assert len(labels) == 48 * 4
    assert {label.right for label in labels} == {None}
    assert len({label.score for label in labels}) > 20
    pairs = rows_at(run.folder / "round_00/4_pairs", "pairs", Pair)
    assert len(pairs) > 10
    assert 0 <= run.rounds[0]["6_scores"]["eval/sampled_accuracy"] <= 1
    # Asked the same, the exact verifier mostly agrees with who was chosen and who was not.
    exact = run_small(
        outputs, "schedule.rounds=1", "sampler.n=4", *TWO_STEPS, "name=exact", "pairing=best_worst"
    )
    truth = {
        (label.prompt_id, label.index): label.right
        for label in rows_at(exact.folder / "round_00/3_labels", "labels", Label)
    }
    mixed = [
        (truth[pair.prompt_id, pair.chosen], truth[pair.prompt_id, pair.rejected])
        for pair in pairs
        if len({truth[pair.prompt_id, i] for i in range(4)}) == 2
    ]
    assert len(mixed) > 5
    assert sum(chosen and not rejected for chosen, rejected in mixed) > 0.8 * len(mixed)


def test_other_weights_at_the_same_place_label_again(outputs: Path, trained: Any) -> None:
    place = outputs / "copy"
    shutil.copytree(trained.model, place)
    words = ("evaluation.verifier=exact", "task.prompts_per_round=8")
    first = judged_run(outputs, place, *words, "name=first")
    weights = load_file(place / "model.safetensors")
    weights["score.weight"] *= 2
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    other = judged_run(outputs, place, *words, "name=other")
    labels = [rows_at(run.folder / "round_00/3_labels", "labels", Label) for run in (first, other)]
    for before, after in zip(*labels, strict=True):
        assert after.score == pytest.approx(2 * (before.score or 0), rel=1e-4)


def test_a_judge_that_fails_is_refused_before_anything_is_drawn(
    outputs: Path, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges.RewardModel, "odds", lambda self, one, other: (other - one)[:, 0])
    monkeypatch.setattr(judges, "_READY", {})
    with pytest.raises(AlignError, match=r"fails its probe: .* of 64 probe pairs ranked right"):
        judged_run(outputs, trained.model, "evaluation.verifier=exact", "name=refused")
    assert not (outputs / "refused").exists()


def test_votes_put_noisy_labels_right(outputs: Path, trained: Any) -> None:
    """Three in ten verdicts are wrong; models that know better turn such pairs round."""
    place = outputs / "twin"
    shutil.copytree(trained.model, place)
    noisy = (
        "schedule.rounds=1", "sampler.n=2", "pairing=all_right_wrong", *TWO_STEPS, "noise=flip",
        "noise.false_positive=0.3", "noise.false_negative=0.3", "task.prompts_per_round=160",
    )  # fmt: skip
    votes = (
        "filter=vote_strength", f"filter.paths=[{trained.model},{place}]", "filter.wrong_share=0.5",
        "filter.ambiguous=keep", "filter.strong=soften",
    )  # fmt: skip
    plain = run_small(outputs, *noisy, "name=noisy").rounds[0]["4_pairs"]
    told = run_small(outputs, *noisy, *votes, "name=voted").rounds[0]["4_pairs"]
    assert told["pair/count"] == plain["pair/count"] == told["pair/made"]
    assert told["pair/flipped"] >= 3
    assert told["pair/softened"] == round(0.1 * told["pair/count"])
    # On balance more chosen sides are right than were.
    assert told["pair/chosen_wrong_share"] < plain["pair/chosen_wrong_share"]


def test_multipliers_follow_from_the_labels_of_the_rounds_before(
    outputs: Path, trained: Any
) -> None:
    place = outputs / "other twin"
    shutil.copytree(trained.model, place)
    words = (
        "verifier=reward_constrained", f"verifier.paths=[{trained.model},'{place}']",
        "verifier.thresholds=[1.5]", "sampler.n=2", "pairing=best_worst", *TWO_STEPS,
        "task.prompts_per_round=16", "evaluation.samples=0",
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"reward_constrained weighs rewards anew in every round"):
        run_small(outputs, *words)
    run = run_small(outputs, *words, "evaluation.verifier=exact", "name=constrained")
    first, second = (
        rows_at(run.folder / f"round_0{number}/3_labels", "labels", Label) for number in range(2)
    )
    assert {label.member_weights for label in first} == {(0.5, 0.5)}
    mean = sum((label.member_scores or ())[1] for label in first) / len(first)
    wanted = 1 / (1 + math.exp((mean - 1.5) / 4))
    [weights] = {label.member_weights for label in second}
    assert weights == pytest.approx((1 - wanted, wanted))
    told = run.rounds[1]["3_labels"]
    assert told["label/member_1_weight"] == pytest.approx(wanted)
    assert run.rounds[0]["3_labels"]["label/member_1_mean"] == pytest.approx(mean)
