"""What `hydra.main` is handed, and what becomes of jobs that fail."""

import sys
from pathlib import Path

import pytest

from align_cli.config import launch as launching
from align_cli.config.compose import Job
from align_cli.config.launch import Failure, launch
from align_cli.errors import ConfigError, NothingToTrain, StaleRun


@pytest.fixture(autouse=True)
def _conf(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "conf_dir", lambda: world / "conf")


def files(folder: Path) -> set[str]:
    skipped = ("__pycache__", "conf", "toyparts")
    return {
        str(each.relative_to(folder))
        for each in folder.rglob("*")
        if not set(each.relative_to(folder).parts) & set(skipped)
    }


def test_a_run_gets_its_configuration_and_hydra_leaves_nothing_behind(
    world: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Job] = []
    before = list(sys.argv)
    argv: list[list[str]] = []
    launch(
        ["experiment=hot", "loss.tau=0.3"], lambda job: (seen.append(job), argv.append(sys.argv))[0]
    )
    [job] = seen
    assert job.config.identity()["loss.tau"] == 0.3
    assert job.config.choices["loss"] == "ipo"
    assert argv == [before]
    assert sys.argv == before
    assert files(world) == set()
    assert capfd.readouterr() == ("", "")


def test_a_sweep_runs_every_job_and_keeps_its_one_file_out_of_the_way(world: Path) -> None:
    seen: list[Job] = []
    assert launch(["-m", "loss.beta=0.1,0.2", "seed=1,2"], seen.append) == []
    assert [(j.config.identity()["loss.beta"], j.config.seed) for j in seen] == [
        (0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)
    ]  # fmt: skip
    assert [job.number for job in seen] == [0, 1, 2, 3]
    assert {job.of for job in seen} == {4}
    assert files(world) == {"outputs", "outputs/.multirun", "outputs/.multirun/multirun.yaml"}


def test_the_whole_sweep_is_checked_before_its_first_job(world: Path) -> None:
    seen: list[Job] = []
    with pytest.raises(ConfigError, match=r"loss\.beta"):
        launch(["-m", "loss.beta=0.1,0.2,0"], seen.append)
    assert seen == []
    assert files(world) == set()


def test_a_rehearsal_may_refuse_before_the_first_job(world: Path) -> None:
    def refuse(jobs: object) -> None:
        raise ConfigError("contradiction")

    seen: list[Job] = []
    with pytest.raises(ConfigError, match="contradiction"):
        launch(["-m", "seed=1,2"], seen.append, rehearse=refuse)
    assert seen == []


@pytest.mark.parametrize("error", [NothingToTrain("no pair"), StaleRun("beta"), ValueError("bug")])
def test_a_single_run_raises_its_error_and_hydra_prints_nothing(
    error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    def task(job: Job) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        launch([], task)
    assert caught.value is error
    assert capfd.readouterr() == ("", "")


def test_the_other_jobs_of_a_sweep_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []
    told: list[Failure] = []

    def task(job: Job) -> None:
        seen.append(job.config.seed)
        if job.config.seed == 1:
            raise NothingToTrain("no pair")
        if job.config.seed == 2:
            raise ValueError("bug")

    failures = launch(["-m", "seed=range(4)"], task, told=told.append)
    assert seen == [0, 1, 2, 3]
    assert [each.job.words for each in failures] == [("seed=1",), ("seed=2",)]
    assert failures == told
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_ends_the_sweep() -> None:
    seen: list[int] = []

    def task(job: Job) -> None:
        seen.append(job.number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(["-m", "seed=1,2"], task)
    assert seen == [0]


def test_hydras_own_pages_pass_through(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Job] = []
    launch(["--cfg", "job", "loss.beta=0.7"], seen.append)
    assert "beta: 0.7" in capsys.readouterr().out
    assert seen == []
    assert files(world) == set()


def test_a_warm_start_is_launched_alike(world: Path) -> None:
    seen: list[Job] = []
    launch(["train.steps=3"], seen.append, config_name="sft")
    assert seen[0].config.bindings["train"].settings == {"steps": 3}
    assert files(world) == set()


def test_a_folder_of_ones_own_and_a_primary_config_of_ones_own(world: Path) -> None:
    (world / "mine").mkdir()
    (world / "mine" / "grid.yaml").write_text(
        "defaults: [config, override loss: ipo, _self_]\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {loss.tau: '0.1,0.2'}}}\n"
    )
    seen: list[Job] = []
    launch(["--config-dir", "mine", "--config-name", "grid", "seed=4"], seen.append)
    assert [(j.config.identity()["loss.tau"], j.config.seed) for j in seen] == [(0.1, 4), (0.2, 4)]
    assert [job.words for job in seen] == [
        ("++loss.tau=0.1", "seed=4"),
        ("++loss.tau=0.2", "seed=4"),
    ]
