"""Each command through the runner: what it prints, where, and what it exits with."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from align_cli.cli import app
from align_cli.cli import run as running
from align_cli.config.compose import Job
from align_cli.errors import AlignError, NothingToTrain, StaleRun

runner = CliRunner()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines_of(error: str) -> list[str]:
    return [line for line in error.splitlines() if line.strip()]


REFUSED = [
    (["run", "lss=dpo"], "'loss'"),
    (["run", "loss=dppo"], "'dpo'"),
    (["run", "loss.bta=1"], "'beta'"),
    (["run", "+loss.bta=1"], "'beta'"),
    (["run", "++loss.bta=1"], "'beta'"),
    (["run", "seed=abc"], "seed"),
    (["run", "loss._target_=os.system"], "os.system"),
    (["run", "loss.beta=-1"], "> 0"),
    (["run", "loss.beta=[1,"], "loss.beta=[1,"),
    (["run", "name=a/b"], "a/b"),
    (["run", "experiment=nothing_like_it"], "nothing_like_it"),
    (["run", "-m", "loss=dpo,dppo"], "'dpo'"),
    (["run", "loss=dpo,squaredpo"], "-m"),
    (["run", "--dryrun"], "'--dry-run'"),
    (["run", "--dry-run", "sampler=best_of"], "'best_of_n'"),
    (["run", "--config-dir", "nowhere"], "nowhere"),
    (["check", "loss.bta=1"], "'beta'"),
    (["check", "smapler=pace"], "'sampler'"),
    (["check", "schedule.reference=ema"], "ema_decay"),
    (["sft", "trian.steps=1"], "'train'"),
    (["sft", "train.stpes=1"], "'steps'"),
    (["sft", "loss=dpo"], "loss"),
    (["sft", "recipe=tinny"], "'tiny'"),
    (["eval", "polcy=tiny"], "'policy'"),
    (["list", "los"], "'loss'"),
    (["explain", "loss"], "GROUP=CHOICE"),
    (["explain", "loss=dp"], "'dpo'"),
    (["explain", "los=dpo"], "'loss'"),
    (["show", "nothing"], "nothing"),
    (["compare", "nothing"], "nothing"),
]


@pytest.mark.parametrize(("words", "meant"), REFUSED, ids=lambda each: str(each)[:50])
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, words: list[str], meant: str
) -> None:
    done = runner.invoke(app, words)
    assert done.exit_code == 2, done.output
    [line] = lines_of(done.stderr)
    assert line.startswith("ConfigError: ")
    assert meant in line
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "meant"), [(["rnu"], "run"), (["chekc"], "check"), (["list", "--jsn"], "--json")]
)
def test_a_mistyped_command_or_option_says_what_was_meant(words: list[str], meant: str) -> None:
    done = runner.invoke(app, words)
    assert done.exit_code == 2
    assert meant in done.stderr


def test_every_command_has_help() -> None:
    listed = runner.invoke(app, ["--help"])
    assert listed.exit_code == 0
    for command in ("run", "check", "list", "explain", "show", "sft", "train-rm", "eval", "doctor"):
        assert command in listed.stdout
        assert runner.invoke(app, [command, "--help"]).exit_code == 0


def test_list_prints_a_line_a_choice() -> None:
    everything = runner.invoke(app, ["list"]).stdout.splitlines()
    losses = runner.invoke(app, ["list", "loss"]).stdout.splitlines()
    assert losses == [line for line in everything if line.startswith("loss=")] or len(losses) > 1
    assert any(line.startswith("loss=dpo ") and "DPO" in line for line in losses)
    as_json = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert "DPO" in as_json["loss"]["dpo"]
    assert len(everything) == sum(map(len, as_json.values()))


def test_explain_shows_formula_source_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = runner.invoke(app, ["explain", "loss=dpo"]).stdout
    for said in ("2305.18290", "log sigmoid", "loss.beta", "> 0", "1/nat", "0.1"):
        assert said in text
    assert "reverse_kl, f(t) = t log t: DPO-inducing; f is least at 0.3679, so it cannot" in text
    chi = json.loads(runner.invoke(app, ["explain", "loss=chi_po", "--json"]).stdout)
    assert "f is least at 0.5671" in chi["divergence"]
    simpo = json.loads(runner.invoke(app, ["explain", "loss=simpo", "--json"]).stdout)
    assert simpo["divergence"] is None
    as_json = json.loads(runner.invoke(app, ["explain", "verifier=exact", "--json"]).stdout)
    settings = {row["name"]: row for row in as_json["settings"]}
    assert settings["max_unscored"]["range"] == "[0, 1]"


def test_check_prints_the_protocol() -> None:
    done = runner.invoke(app, ["check", "loss.beta=0.3", "seed=5"])
    assert done.exit_code == 0, done.output
    for said in ("reference", "draw_from", "replay", "formula", "ties", "decoding", "beta=0.3"):
        assert said in done.stdout
    as_json = json.loads(runner.invoke(app, ["check", "loss.beta=0.3", "--json"]).stdout)
    assert as_json["settings"]["loss.beta"] == 0.3
    assert as_json["protocol"]["reference"] == "previous"
    assert "DPO-inducing" in as_json["protocol"]["divergence"]
    forward = ["loss=alpha_dpo", "loss.link=forward_kl", "loss.alpha=null", "--json"]
    said = json.loads(runner.invoke(app, ["check", *forward]).stdout)["protocol"]["divergence"]
    assert said.startswith("forward_kl, f(t) = -log t: DPO-inducing; f is least nowhere")
    several = runner.invoke(app, ["check", "-m", "seed=1,2", "--json"])
    assert [each["settings"]["seed"] for each in json.loads(several.stdout)] == [1, 2]


def test_check_all_takes_every_experiment() -> None:
    done = runner.invoke(app, ["check", "--all"])
    assert done.exit_code == 0, done.output
    listed = runner.invoke(app, ["list", "experiment"]).stdout.splitlines()
    assert len(done.stdout.splitlines()) == len(listed)


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    done = runner.invoke(app, ["run", "--dry-run", "name=planned"])
    assert done.exit_code == 0, done.output
    for said in ("planned", "round_00", "to do", "reference"):
        assert said in done.stdout
    assert list(tmp_path.iterdir()) == []


class Loop:
    """Stands in for the loop: does what it is told for each seed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, outcomes: dict[int, BaseException]) -> None:
        self.seen: list[Job] = []
        self.outcomes = outcomes
        monkeypatch.setattr(running, "_carry_out", self.run)
        monkeypatch.setattr(running, "_rehearse", lambda jobs: None)

    def run(self, job: Job, **how: Any) -> None:
        self.seen.append(job)
        if error := self.outcomes.get(job.config.seed):
            raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NothingToTrain("no pair at all"), 1),
        (StaleRun("loss.beta differs"), 2),
        (AlignError("a [bracket] failed"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_of_a_run_is_one_line_and_its_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    Loop(monkeypatch, {0: error})
    done = runner.invoke(app, ["run"])
    assert done.exit_code == code
    [line] = lines_of(done.stderr)
    assert str(error) in line
    assert "Traceback" not in done.output


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    Loop(monkeypatch, {0: ZeroDivisionError("bug")})
    done = runner.invoke(app, ["run"])
    assert done.exit_code == 1
    assert isinstance(done.exception, ZeroDivisionError)


def test_a_sweep_goes_on_and_names_the_job_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(monkeypatch, {1: NothingToTrain("no pair")})
    done = runner.invoke(app, ["run", "-m", "seed=0,1,2", "loss.beta=0.2"])
    assert [job.config.seed for job in loop.seen] == [0, 1, 2]
    assert done.exit_code == 1
    failed = [line for line in lines_of(done.stderr) if "NothingToTrain" in line]
    assert len(failed) == 1
    assert "seed=1 loss.beta=0.2" in failed[0]
    assert "1 of 3 jobs failed: #2 seed=1 loss.beta=0.2" in done.stderr


def test_flags_may_stand_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(monkeypatch, {})
    for words in (
        ["-m", "seed=1,2"],
        ["seed=1,2", "-m"],
        ["loss.beta=1", "--multirun", "seed=1,2"],
    ):
        loop.seen.clear()
        done = runner.invoke(app, ["run", *words])
        assert done.exit_code == 0, done.output
        assert [job.config.seed for job in loop.seen] == [1, 2]


def test_hydras_pages_pass_through() -> None:
    done = runner.invoke(app, ["run", "--cfg", "job", "loss.beta=0.7"])
    assert done.exit_code == 0, done.output
    assert "beta: 0.7" in done.stdout


def test_show_finds_a_run_by_name_or_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from align_cli.report import show as view

    seen: list[tuple[Path, Any]] = []
    monkeypatch.setattr(view, "show", lambda folder, **how: seen.append((folder, how)))
    (tmp_path / "outputs" / "mine").mkdir(parents=True)
    (tmp_path / "outputs" / "mine" / "config.yaml").write_text("")
    for words in (["mine"], ["outputs/mine"], ["mine", "--round", "2", "--prompt", "ab"]):
        assert runner.invoke(app, ["show", *words]).exit_code == 0
    assert {str(folder) for folder, _ in seen} == {"outputs/mine"}
    assert seen[2][1]["prompt"] == "ab"
    assert seen[2][1]["round_number"] == 2
    typo = runner.invoke(app, ["show", "mnie"])
    assert typo.exit_code == 2
    assert "'mine'" in typo.stderr


def test_version() -> None:
    done = runner.invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout.startswith("align ")
