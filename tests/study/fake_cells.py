"""Cells that take no time: a process that only leaves a finished run behind, or fails as told."""

from pathlib import Path

import pytest
from fake_process import fake

from align_cli.config.grid import yaml_text
from align_cli.study import processes, sweep
from align_cli.study.attempt import Log
from align_cli.study.budget import Spent
from align_cli.study.grid import Cell, Grid, load_grid
from align_cli.study.sweep import Options, Outcome
from align_cli.study.watcher import Unwatched


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which every cell's process is a fake; `orders.json` says how it ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes, "PRELOAD", ["align_cli.study.processes"])
    monkeypatch.setattr(sweep, "BREATH_S", 0.01)
    return tmp_path


def a_study(folder: Path, axes: dict[str, object], seeds: int = 1, **more: object) -> Grid:
    """A study of the folder's own."""
    values = {"question": "Is it?", "axes": axes, "seeds": seeds, "base": ["tracker=none"], **more}
    (folder / "mine.yaml").write_text(yaml_text(values))
    return load_grid(folder / "mine.yaml")


def carried_out(grid: Grid, watcher: Unwatched | None = None, **options: object) -> Outcome:
    """The outcome of a sweep that nobody watches."""
    options.setdefault("launcher", processes.Processes(fake))
    how = Options(**options)  # type: ignore[arg-type]
    return sweep.sweep(grid, how, watcher or Unwatched(), lambda cell, known: Spent(None, None))


def executed(folder: Path) -> list[str]:
    """Runs whose process was started, in order; forgotten afterwards."""
    file = folder / "executed.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


class Witness(Unwatched):
    """Remembers failures and lines."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, str, list[str], bool]] = []
        self.lines: list[str] = []

    def failed(self, cell: Cell, cause: str, log: Log, again: bool) -> None:
        self.failures.append((cell.title, cause, log.tail(), again))
        assert log.file.is_file()

    def say(self, line: str) -> None:
        self.lines.append(line)
