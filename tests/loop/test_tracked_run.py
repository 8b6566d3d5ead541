"""What a run tells W&B, read back from the offline file with W&B's own reader."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from offline_wandb import read_offline
from small_runs import words_of

from align_cli.report.result import read_result

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A run of the real command, away from any account, twice: the second start resumes it."""
    place = tmp_path_factory.mktemp("tracked")
    words = [word for word in words_of(place / "out", ("name=a",)) if "tracker" not in word]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    environment |= {"HOME": str(place), "NETRC": str(place / "none")}
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "align_cli", "run", *words],
            check=True, env=environment, cwd=place, stdin=subprocess.DEVNULL, timeout=200,
            capture_output=True,
        )  # fmt: skip
    return place / "out" / "a"


def test_config_metrics_of_every_round_and_artifacts_with_inputs(tracked: Path):
    first = read_offline(tracked)[0]
    result = read_result(tracked)
    assert "dpo" in str(first.config)
    accuracies = [
        float(row["eval/sampled_accuracy"])
        for row in first.history
        if "eval/sampled_accuracy" in row
    ]
    wanted = [result.start, *result.rounds.values()]
    assert accuracies == [lines["6_scores"]["eval/sampled_accuracy"] for lines in wanted]
    steps = [row for row in first.history if "train/loss" in row]
    entries = map(json.loads, (tracked / "metrics.jsonl").read_text().splitlines())
    assert len(steps) == sum(entry["step"] is not None for entry in entries) > 0
    places = {artifact["metadata"]["name"]: artifact for artifact in first.artifacts}
    for number in result.rounds:
        here = f"round_{number:02d}"
        for stage in ("1_prompts", "2_completions/pass_0", "3_labels/pass_0", "4_pairs",
                      "4_reference", "5_policy", "6_scores/scores"):  # fmt: skip
            assert f"{here}/{stage}" in places
        inputs = {
            stage: {entry["name"] for entry in places[f"{here}/{stage}"]["metadata"]["inputs"]}
            for stage in ("2_completions/pass_0", "3_labels/pass_0", "4_pairs", "5_policy",
                          "6_scores/scores")
        }  # fmt: skip
        before = "start/5_policy" if number == 0 else f"round_{number - 1:02d}/5_policy"
        assert inputs["2_completions/pass_0"] == {f"{here}/1_prompts", before}
        assert f"{here}/2_completions/pass_0" in inputs["3_labels/pass_0"]
        assert f"{here}/3_labels/pass_0" in inputs["4_pairs"]
        assert {f"{here}/4_pairs", before} <= inputs["5_policy"]
        assert {f"{here}/5_policy", f"{here}/6_scores/labels"} <= inputs["6_scores/scores"]


def test_a_second_start_continues_the_same_record(tracked: Path):
    starts = read_offline(tracked)
    assert len({start.run["run_id"] for start in starts}) == 1
    assert not [row for row in starts[1].history if "train/loss" in row]
    assert all(start.exit_code == 0 for start in starts)
