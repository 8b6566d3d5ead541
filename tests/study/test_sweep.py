"""A study carried out by processes that take no time: what fails, what runs again, what stops."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_cells import Witness, a_study, carried_out, executed, fakes
from fake_process import fake

from align_cli.errors import StaleRun
from align_cli.study import processes, states, sweep
from align_cli.study.budget import Spent
from align_cli.study.grid import Grid
from align_cli.study.states import read_states
from align_cli.study.sweep import Options

__all__ = ["fakes"]
ROOT = Path(__file__).resolve().parents[2]
BETAS = [0.1, 0.2, 0.3, 0.4, 0.5]


def orders(folder: Path, told: dict[str, str]) -> None:
    (folder / "orders.json").write_text(json.dumps(told))


def runs(grid: Grid) -> list[str]:
    return [cell.run for cell in grid.cells]


def test_twenty_cells_of_which_three_fail(fakes: Path) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS}, seeds=4)
    bad = runs(grid)[3:20:7]
    assert len(bad) == 3
    orders(fakes, dict.fromkeys(bad, "fail"))
    witness = Witness()
    outcome = carried_out(grid, witness, jobs=4)
    assert sorted(executed(fakes)) == sorted(runs(grid))
    assert (outcome.count("done"), outcome.count("failed")) == (17, 3)
    assert {cause for _, cause, _, _ in witness.failures} == {"NothingToTrain: no pair in round 0"}
    assert [tail[0].split()[0] for _, _, tail, _ in witness.failures] == ["beginning"] * 3
    kept = read_states(grid.folder)
    assert [run for run, state in kept.items() if state.state == "failed"] == bad
    assert (grid.folder / str(kept[bad[0]].log)).read_text().count("attempt 1") == 1

    orders(fakes, {})
    assert carried_out(grid).count("done") == 20
    assert executed(fakes) == bad
    assert carried_out(grid).executed == []


def test_cells_say_what_they_are(fakes: Path) -> None:
    grid = a_study(fakes, {"draws": {"bo2": "sampler.n=2", "bo8": "sampler.n=8"}})
    carried_out(grid)
    lines = (grid.folder / "cells.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert len(lines) == 2
    assert first["name"] == "draws=bo2"
    assert first["choices"] == {"draws": "bo2"}
    assert (first["seed"], first["state"], first["error"]) == (0, "done", None)
    assert (Path("outputs") / first["run"] / "metrics.jsonl").is_file()
    from align_cli.config.grid import read_yaml

    study = read_yaml(grid.folder / "study.yaml")
    assert study["axes"]["draws"]["bo8"] == ["sampler.n=8"]
    assert study["compare"]["metric"] == "eval/sampled_accuracy"


def test_fail_fast_starts_nothing_more(fakes: Path) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS})
    orders(fakes, {runs(grid)[1]: "fail"})
    outcome = carried_out(grid, fail_fast=True)
    assert executed(fakes) == runs(grid)[:2]
    assert [s.state for s in outcome.states] == ["done", "failed", "missing", "missing", "missing"]
    assert "--fail-fast" in str(outcome.stopped)


def test_fail_fast_stops_what_is_running(fakes: Path) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:3]})
    orders(fakes, {runs(grid)[0]: "hang", runs(grid)[1]: "fail"})
    begun = time.perf_counter()
    outcome = carried_out(grid, fail_fast=True, jobs=2)
    assert time.perf_counter() - begun < 15
    assert [s.state for s in outcome.states] == ["missing", "failed", "missing"]


def test_retries_mend_what_passes_and_no_mistakes(fakes: Path) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:3]})
    once, mistake, never = runs(grid)
    orders(fakes, {once: "once", mistake: "mistake", never: "fail"})
    witness = Witness()
    outcome = carried_out(grid, witness, retries=2)
    assert [s.state for s in outcome.states] == ["done", "failed", "failed"]
    assert [s.attempts for s in outcome.states] == [2, 1, 3]
    assert executed(fakes).count(never) == 3
    assert [again for *_, again in witness.failures] == [True, False, True, True, False]


@pytest.mark.parametrize(
    ("order", "said"),
    [("die", "killed by SIGKILL; last it wrote: beginning"), ("nothing", "not a finished run")],
)
def test_a_process_that_ends_strangely_is_a_failure(fakes: Path, order: str, said: str) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:1]})
    orders(fakes, {"*": order})
    [state] = carried_out(grid).states
    assert state.state == "failed"
    assert said in str(state.error)


def test_a_run_that_is_gone_or_of_other_code_is_made_again(
    fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:3]})
    carried_out(grid)
    executed(fakes)
    (grid.cells[1].folder / "metrics.jsonl").unlink()
    carried_out(grid)
    assert executed(fakes) == runs(grid)[1:2]
    (grid.cells[2].folder / "round_00").mkdir()
    (grid.cells[2].folder / "round_00" / "5_policy").symlink_to("gone")
    carried_out(grid)
    assert executed(fakes) == runs(grid)[2:]
    (grid.cells[2].folder / "round_00" / "5_policy").unlink()
    monkeypatch.setattr(states, "code_behind", lambda config: "other")
    carried_out(grid)
    assert executed(fakes) == runs(grid)


def test_a_study_may_grow_but_its_cells_keep_their_meaning(fakes: Path) -> None:
    carried_out(a_study(fakes, {"loss.beta": BETAS[:2]}))
    executed(fakes)
    witness = Witness()
    grown = a_study(fakes, {"loss.beta": BETAS[1:4]}, seeds=2)
    carried_out(grown, witness)
    assert len(executed(fakes)) == 5
    assert witness.lines == ["1 earlier cells are no longer in the study; their runs stay"]
    with pytest.raises(StaleRun, match=r"sampler\.n 4 -> 5") as caught:
        carried_out(a_study(fakes, {"loss.beta": BETAS[1:2]}, base=["sampler.n=5"]))
    assert "--name" in str(caught.value)
    assert executed(fakes) == []


def test_a_folder_of_something_else_is_left_alone(fakes: Path) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:1]})
    for name, said in (("config.yaml", "is a run"), ("notes.txt", "is no study")):
        grid.folder.mkdir(parents=True, exist_ok=True)
        (grid.folder / name).write_text("")
        with pytest.raises(StaleRun, match=said):
            carried_out(grid)
        (grid.folder / name).unlink()
    assert executed(fakes) == []


def test_a_run_that_another_process_writes_is_waited_for(fakes: Path) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:2]})
    busy = grid.cells[0].folder
    busy.mkdir(parents=True)
    lock = (busy / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(1.0, lock.close).start()
    witness = Witness()
    assert carried_out(grid, witness).count("done") == 2
    assert executed(fakes) == [runs(grid)[1], runs(grid)[0]]
    assert [line for line in witness.lines if "being written; waiting" in line]


def test_a_second_sweep_of_the_study_waits_and_finds_it_done(fakes: Path) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:2]})
    grid.folder.mkdir(parents=True)
    lock = (grid.folder / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(1.0, lock.close).start()
    witness = Witness()
    begun = time.perf_counter()
    assert carried_out(grid, witness).count("done") == 2
    assert time.perf_counter() - begun > 0.9
    assert "another process" in witness.lines[0]


SWEEP = """
import sys
sys.path[:0] = [{tests!r}]
import fake_cells
from align_cli.study import processes, sweep
processes.PRELOAD = ["align_cli.study.processes"]
processes.PATIENCE_S = (1.0, 1.0)
grid = fake_cells.load_grid(fake_cells.Path("mine.yaml"))
print("ready", flush=True)
fake_cells.carried_out(grid, jobs=2)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_stopped_leaves_cells_that_can_go_on(fakes: Path, number: int) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:3]})
    orders(fakes, {runs(grid)[1]: "hang"})
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP.format(tests=str(Path(__file__).parent))],
        cwd=fakes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    told = fakes / f"{runs(grid)[1]}.pid"
    waited = time.perf_counter()
    while not told.exists() and time.perf_counter() - waited < 60:
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(timeout=30)
    assert process.returncode != 0
    kept = read_states(grid.folder)
    wanted = "running" if number == signal.SIGKILL else "missing"
    assert kept[runs(grid)[1]].state == wanted
    # What SIGKILL leaves behind goes on by itself; this one would for a minute.
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(told.read_text()), signal.SIGKILL)
    orders(fakes, {})
    executed(fakes)
    assert carried_out(grid).count("done") == 3
    assert runs(grid)[1] in executed(fakes)


@pytest.mark.parametrize(
    ("budget", "done"),
    [
        ({"tokens": 350}, 3),
        ({"tokens": 99}, 0),
        ({"hours": 0.25}, 2),
        ({"per": {"loss.beta": {"tokens": 150}}}, 2),
        ({"tokens": 1e9, "hours": 1e9, "per": {"loss.beta": {"hours": 9}}}, 4),
    ],
    ids=str,
)
def test_a_budget_stops_a_study_before_it_overspends(
    fakes: Path, monkeypatch: pytest.MonkeyPatch, budget: dict[str, object], done: int
) -> None:
    grid = a_study(fakes, {"loss.beta": BETAS[:2]}, seeds=2, budget=budget)

    def ledger(folders):  # type: ignore[no-untyped-def]
        finished = len(list(folders))
        return Spent(100.0 * finished, 0.1 * finished)

    monkeypatch.setattr(sweep, "spent_on", ledger)
    witness = Witness()
    outcome = sweep.sweep(
        grid,
        Options(launcher=processes.Processes(fake)),
        witness,
        lambda cell, known: Spent(100.0, 0.1),
    )
    assert outcome.count("done") == done
    told = any("budget" in line for line in witness.lines)
    assert told == (done < 4)
    assert (outcome.stopped is not None) == (done < 4 and "per" not in budget)


def test_the_process_that_forks_may_be_killed(fakes: Path) -> None:
    from multiprocessing import forkserver

    grid = a_study(fakes, {"loss.beta": BETAS[:2]})
    assert carried_out(a_study(fakes, {"loss.beta": BETAS[:1]})).count("done") == 1
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    os.kill(server, signal.SIGKILL)
    assert carried_out(grid).count("done") == 2
