import base64
import hashlib
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from offline_wandb import read_offline

from align_cli.tracker.interface import RunFacts, StageArtifact, StageKind, Tracker, TrackerWarning
from align_cli.tracker.wandb import wandb

SETTINGS = {
    "project": "align",
    "entity": None,
    "mode": "offline",
    "group": None,
    "tags": ("bundled",),
    "weights": "reference",
    "start_timeout": 20.0,
    "finish_timeout": 20.0,
}
STAGES: tuple[tuple[StageKind, tuple[str, ...]], ...] = (
    ("prompts", ()),
    ("completions", ("1_prompts",)),
    ("labels", ("1_prompts", "2_completions")),
    ("pairs", ("2_completions", "3_labels")),
    ("policy", ("4_pairs",)),
    ("scores", ("5_policy",)),
)


@pytest.fixture(autouse=True)
def _nothing_but_what_is_expected() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrackerWarning)
        yield


def facts(folder: Path, **changes: object) -> RunFacts:
    config = {"loss": {"beta": 0.5, "_target_": "align_cli.loss.dpo.dpo"}, "seed": 0}
    settled = {"run_id": "dpo-9f2c", "name": "dpo", "group": "beta", "folder": folder}
    return RunFacts(**settled, config=config, **changes)


def stage(folder: Path, round_number: int, number: int) -> StageArtifact:
    kind, inputs = STAGES[number]
    here = f"round_{round_number:02d}"
    files = folder / here / f"{number + 1}_{kind}"
    files.mkdir(parents=True)
    name = "model.safetensors" if kind == "policy" else "part-0.parquet"
    (files / name).write_bytes(f"{here} {kind}".encode())
    return StageArtifact(
        name=f"{here}/{number + 1}_{kind}",
        kind=kind,
        fingerprint=f"fp-{round_number}-{kind}",
        folder=files,
        rows=None if kind == "policy" else 8,
        inputs=tuple(f"{here}/{name}" for name in inputs),
        metadata={"kept": 7},
    )


def play(tracker: Tracker, folder: Path, round_number: int) -> None:
    for number in range(len(STAGES)):
        if STAGES[number][0] == "policy":
            for step in range(3 * round_number, 3 * round_number + 3):
                values = {"train/loss": 0.7 - 0.1 * step}
                tracker.metrics(values, round_number=round_number, step=step)
        tracker.artifact(stage(folder, round_number, number))
    tracker.metrics({"eval/greedy": 0.6}, round_number=round_number, step=None)


def test_an_offline_run_reads_back_with_every_round_and_every_stages_inputs(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    for round_number in range(2):
        play(tracker, tmp_path, round_number)
    tracker.summary({"cost/tokens": 1024.0})
    tracker.finish(0)

    (start,) = read_offline(tmp_path)
    assert start.run["run_id"] == "dpo-9f2c"
    assert start.run["run_group"] == "beta"
    assert start.run["tags"] == ["bundled"]
    assert start.exit_code == 0
    assert start.config["loss"] == {"beta": 0.5, "_target_": "align_cli.loss.dpo.dpo"}
    assert start.config["seed"] == 0

    losses = [row["train/loss"] for row in start.history if "train/loss" in row]
    assert losses == pytest.approx([0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    assert [row["train/step"] for row in start.history if "train/loss" in row] == [0, 1, 2, 3, 4, 5]
    assert [row["round"] for row in start.history if "eval/greedy" in row] == [0, 1]
    assert start.axes == {"train/loss": "train/step", "eval/greedy": "round"}
    assert start.summary["cost/tokens"] == 1024.0

    logged = [(a["type"], a["name"], set(a["aliases"])) for a in start.artifacts]
    assert logged == [
        (kind, f"{kind}-dpo-9f2c", {f"round_{number:02d}-{place}_{kind}", "latest"})
        for number in range(2)
        for place, (kind, _) in enumerate(STAGES, start=1)
    ]
    for artifact in start.artifacts:
        number = int(artifact["metadata"]["name"][6:8])
        of_kind = dict(STAGES)
        wanted = [
            {
                "name": f"round_{number:02d}/{name}",
                "fingerprint": f"fp-{number}-{name[2:]}",
                "artifact": f"{name[2:]}-dpo-9f2c:round_{number:02d}-{name}",
            }
            for name in of_kind[artifact["type"]]
        ]
        assert artifact["metadata"]["inputs"] == wanted
        assert artifact["metadata"]["fingerprint"] == f"fp-{number}-{artifact['type']}"
        assert artifact["metadata"]["kept"] == 7
        # An input of the run, too, for the lineage graph: all that a later stage reads.
        assert artifact.get("use_after_commit", False) == (artifact["type"] != "scores")


def test_files_are_recorded_where_they_lie_and_weights_are_not_read(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    labels, policy = stage(tmp_path, 0, 2), stage(tmp_path, 0, 4)
    for logged in (labels, policy, replace(policy, fingerprint="other")):
        tracker.artifact(logged)
    tracker.finish(0)

    (start,) = read_offline(tmp_path)
    row_file, weights, others = [a["manifest"]["contents"] for a in start.artifacts]
    assert row_file[0]["local_path"] == str(labels.folder / "part-0.parquet"), "a copy was made"
    assert row_file[0]["skip_cache"]
    assert weights[0]["ref"] == (policy.folder / "model.safetensors").as_uri()
    assert weights[0]["path"] == "fp-0-policy/model.safetensors"
    assert "local_path" not in weights[0], "weights would be uploaded"
    assert others[0]["path"] == "other/model.safetensors"
    assert start.artifacts[1]["digest"] != start.artifacts[2]["digest"], "one version for two"
    content = hashlib.md5((policy.folder / "model.safetensors").read_bytes()).digest()
    assert weights[0]["digest"] != base64.b64encode(content).decode(), "weights were read"


def test_weights_are_uploaded_when_asked(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS | {"weights": "upload"})
    policy = stage(tmp_path, 0, 4)
    tracker.artifact(policy)
    tracker.finish(0)
    (start,) = read_offline(tmp_path)
    (entry,) = start.artifacts[0]["manifest"]["contents"]
    assert entry["local_path"] == str(policy.folder / "model.safetensors")


def test_an_input_that_was_not_logged_is_named_as_far_as_known(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    tracker.artifact(replace(stage(tmp_path, 0, 5), inputs=("start/policy", "9f2c")))
    tracker.finish(0)
    (start,) = read_offline(tmp_path)
    assert start.artifacts[0]["metadata"]["inputs"] == [
        {"name": "start/policy", "fingerprint": None, "artifact": None},
        {"name": None, "fingerprint": "9f2c", "artifact": None},
    ]


def test_two_stages_of_a_kind_in_a_round_are_told_apart(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    drawn = stage(tmp_path, 0, 1)
    passes = [f"{drawn.name}/pass_{number}" for number in range(2)]
    for number, name in enumerate(passes):
        tracker.artifact(replace(drawn, name=name, fingerprint=f"fp-{number}"))
    tracker.artifact(replace(stage(tmp_path, 0, 2), inputs=(passes[0], "fp-1")))
    tracker.finish(0)
    (start,) = read_offline(tmp_path)
    assert [entry["artifact"] for entry in start.artifacts[-1]["metadata"]["inputs"]] == [
        f"completions-dpo-9f2c:round_00-2_completions-pass_{number}" for number in range(2)
    ]
    for number in range(2):
        assert f"round_00-2_completions-pass_{number}" in start.artifacts[number]["aliases"]


def test_a_resumed_run_is_the_same_run_and_its_history_goes_on(tmp_path: Path) -> None:
    first = wandb(facts(tmp_path), **SETTINGS)
    play(first, tmp_path, 0)
    first.finish(1)
    second = wandb(facts(tmp_path, metric_rows=4), **SETTINGS)
    play(second, tmp_path, 1)
    second.finish(0)

    starts = read_offline(tmp_path)
    assert [start.run["run_id"] for start in starts] == ["dpo-9f2c"] * 2
    assert [start.run["resume"] for start in starts] == [True, True]
    assert [start.exit_code for start in starts] == [1, 0]
    steps = [row["_step"] for start in starts for row in start.history]
    assert steps == list(range(8)), "the server drops or mixes history steps that come twice"


def test_two_runs_in_one_process_stay_two(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    trackers = [
        wandb(replace(facts(folder), run_id=f"cell-{folder.name}"), **SETTINGS)
        for folder in folders
    ]
    for value, tracker in enumerate(trackers):
        tracker.metrics({"eval/greedy": float(value)}, round_number=0, step=None)
    for tracker in trackers:
        tracker.finish(0)
    starts = [start for folder in folders for start in read_offline(folder)]
    assert [start.run["run_id"] for start in starts] == ["cell-a", "cell-b"]
    assert [start.history[0]["eval/greedy"] for start in starts] == [0.0, 1.0]


def test_nothing_is_collected_that_was_not_given(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    tracker.metrics({"eval/greedy": 0.6}, round_number=0, step=None)
    print("said by the run")
    tracker.finish(0)
    (start,) = read_offline(tmp_path)
    assert start.kinds <= {"header", "run", "telemetry", "metric", "summary", "history", "exit"}


def test_where_says_how_to_upload(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    tracker.finish(0)
    command, _, folder = tracker.where.partition("sync ")
    assert command == "wandb "
    assert list(Path(folder).glob("run-dpo-9f2c.wandb"))
    assert Path(folder).parent == tmp_path / "wandb"
