"""Every experiment runs on the bundled world, and says where it leaves its source."""

import json
import math
from pathlib import Path

import pytest
from small_runs import run_small
from typer.testing import CliRunner

from align_cli.cli.app import app
from align_cli.config.catalogue import choices
from align_cli.config.compose import compose
from align_cli.config.folders import conf_dir
from align_cli.config.stated import ABSENT, compared, declared
from align_cli.errors import ConfigError

TINY = (
    "schedule.rounds=1", "schedule.epochs=1", "task.prompts_per_round=14",
    "task.heldout_prompts=2", "evaluation.samples=1", "schedule.checkpoint_every=100",
)  # fmt: skip
EXPERIMENTS = {each.name: each for each in choices("experiment")}
PROTOCOLS = [name for name, each in EXPERIMENTS.items() if declared(each.file)]


def test_the_named_protocols_are_there() -> None:
    assert set(PROTOCOLS) >= {
        "dpo_r1", "pace", "online_dpo", "rlhflow", "rlhflow_moving", "xpo", "sppo", "rebel",
        "mcts_dpo", "upo",
    }  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.mark.e2e
# Bandits have no held-out questions; tests/loop/test_bandit_run.py runs theirs.
@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if not name.startswith("bandit")])
def test_an_experiment_runs(name: str, outputs: Path) -> None:
    folder = run_small(outputs, *TINY, f"experiment={name}", f"name={name}").folder
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line["metrics"] for line in lines if line["step"] is not None]
    assert steps
    assert all(math.isfinite(step["train/loss"]) for step in steps)
    assert lines[-1]["metrics"]["time/run_seconds"] > 0


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_a_source_states_is_of_settings_that_there_are(name: str) -> None:
    found = compared(name, compose([f"experiment={name}"]))
    assert found is not None
    assert found.source
    assert not [each.key for each in found.statements if each.here == ABSENT]
    dotted = [key for key in found.unknown if "." in key]
    assert not [key for key in dotted if found.unknown[key] == ABSENT]
    # A word with a dot would have been looked up as a setting; without, it is none by mistake.
    assert not [word for word in found.words if " " not in word and word not in
                ("labels", "freshness", "pairs", "searches", "exploration", "candidates",
                 "estimator")]  # fmt: skip


def test_check_prints_the_protocol_and_its_differences() -> None:
    shown = CliRunner().invoke(app, ["check", "experiment=dpo_r1"])
    assert shown.exit_code == 0
    text = " ".join(shown.output.split())
    assert "best_of_n (n=8)" in text
    assert "schedule.learning_rate 5e-07 5e-05" in text
    assert "policy Qwen/Qwen2.5-Math-7B tiny" in text
    assert "sampler.n=8" in text.partition("as stated")[2]
    told = json.loads(
        CliRunner().invoke(app, ["check", "experiment=dpo_r1", "sampler.n=16", "--json"]).output
    )["experiments"][0]
    assert {"key": "sampler.n", "stated": 8, "here": 16, "inferred": False} in told["differences"]
    assert "sampler.n" not in told["as_stated"]
    other = json.loads(
        CliRunner().invoke(app, ["check", "experiment=dpo_r1", "verifier=exact", "--json"]).output
    )["experiments"][0]
    here = {each["key"]: each["here"] for each in other["differences"]}
    assert (here["verifier"], here["verifier.wrong_score"]) == ("exact", ABSENT)


def test_what_is_unknown_is_said_with_what_is_done_here() -> None:
    found = compared("pace", compose(["experiment=pace"]))
    assert found is not None
    assert found.unknown["sampler.hint"] == "gold"
    assert found.unknown["words of the correction prompt"] == ABSENT


def test_a_head_that_holds_more_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text("# Odd.\n# Stated:\n#   loss: dpo\n# Remark: none\n")
    with pytest.raises(ConfigError, match="Stated, Inferred, Missing, Unknown"):
        declared(file)
    assert declared(conf_dir() / "experiment" / "smoke.yaml") == {}


def test_what_a_preset_runs_without_is_said_by_check_and_by_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("align_cli.cli.run._carry_out", lambda *_, **__: None)
    for words in (["check", "experiment=upo"], ["run", "experiment=upo", f"outputs={tmp_path}"]):
        shown = " ".join(CliRunner().invoke(app, words).output.split())
        assert "warning: experiment=upo runs without filter=mc_dropout of its source" in shown
        assert "align train-rm name=judge preference.path=outputs/pairs train.dropout=0.1" in shown
        mended = CliRunner().invoke(app, [*words, "filter=mc_dropout", f"filter.path={tmp_path}"])
        assert mended.exit_code == 0
        assert "warning" not in mended.output
    told = json.loads(CliRunner().invoke(app, ["check", "experiment=upo", "--json"]).output)
    assert list(told["experiments"][0]["missing"]) == ["filter"]
