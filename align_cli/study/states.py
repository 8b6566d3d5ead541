"""What has become of each cell, and the study folder that remembers it.

outputs/STUDY/
  study.yaml     the study with every default filled in
  cells.jsonl    one line a cell: choices, seed, run folder, state, error, log
  cells/         each cell's frozen configuration, which its process reads
  logs/          what each cell's process wrote
  submitit/      job scripts and the workers' own output, where submitit launched the cells
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from align_cli.config.grid import read_yaml, yaml_text
from align_cli.errors import AlignError, StaleRun
from align_cli.store.stage import write_text
from align_cli.study.code import code_behind
from align_cli.study.finished import finished
from align_cli.study.grid import Cell, Grid

State = Literal["done", "failed", "missing", "running"]
STUDY = "study.yaml"
CELLS = "cells.jsonl"


@dataclass(kw_only=True)
class CellState:
    """A line of cells.jsonl."""

    name: str
    choices: Mapping[str, str]
    seed: int
    run: str
    """Its folder under `outputs`."""
    state: State = "missing"
    error: str | None = None
    """One line, of the last attempt."""
    log: str | None = None
    """Within the study folder; None if it was never started from here."""
    attempts: int = 0
    """In the last sweep that started it."""
    seconds: float | None = None
    """Wall clock of its process, where it is done."""
    code: str | None = None
    """Fingerprint of the code and libraries that it was finished by."""
    words: list[str] = field(default_factory=list)


@dataclass
class StudyFolder:
    """The folder of a study that this process alone writes."""

    path: Path
    cells: dict[str, CellState]
    """{run: its state}, in the order of the grid"""

    @classmethod
    @contextmanager
    def opened(cls, grid: Grid, told: Callable[[str], None]) -> Iterator["StudyFolder"]:
        """Make the folder, or go on in it; wait while another process sweeps the same study."""
        path = grid.folder
        _refuse_strangers(path)
        try:
            (path / "cells").mkdir(parents=True, exist_ok=True)
            (path / "logs").mkdir(exist_ok=True)
            lock = (path / ".lock").open("w")
        except OSError as error:
            raise AlignError(f"the study folder {path} cannot be written: {error}") from error
        with lock:
            _wait_for(lock, path, told)
            before = read_states(path)
            _refuse_other_meanings(path, before, grid)
            made = cls(path, {cell.run: _state(cell, before.get(cell.run)) for cell in grid.cells})
            if gone := sorted(before.keys() - made.cells.keys()):
                told(f"{len(gone)} earlier cells are no longer in the study; their runs stay")
            write_text(path / STUDY, yaml_text(grid.study.as_values()))
            for cell in grid.cells:
                write_text(made.config_file(cell), _frozen(cell, grid.study.name))
            made.save()
            yield made

    def config_file(self, cell: Cell) -> Path:
        """The frozen configuration that the cell's process reads."""
        return self.path / "cells" / f"{cell.run}.yaml"

    def log_file(self, cell: Cell) -> Path:
        """What the cell's process writes."""
        return self.path / "logs" / f"{cell.run}.log"

    def save(self) -> None:
        """Write cells.jsonl in one move."""
        lines = (json.dumps(asdict(state), allow_nan=False) for state in self.cells.values())
        write_text(self.path / CELLS, "".join(f"{line}\n" for line in lines))


def read_states(path: Path) -> dict[str, CellState]:
    """{run: state} of a study folder, in the order of its grid; empty if there is none."""
    file = path / CELLS
    if not file.is_file():
        return {}
    try:
        states = [CellState(**json.loads(line)) for line in file.read_text().splitlines()]
    except (ValueError, TypeError) as error:
        raise AlignError(f"{file} cannot be read ({error}); delete it, the runs stay") from error
    return {state.run: state for state in states}


def done(cell: Cell, state: CellState) -> bool:
    """Whether nothing is left to do: finished, and by the code that would run now."""
    return (
        state.state == "done" and state.code == code_behind(cell.config) and finished(cell.folder)
    )


def _state(cell: Cell, before: CellState | None) -> CellState:
    facts: dict[str, Any] = {
        "name": cell.name, "choices": dict(cell.choices), "seed": cell.seed, "run": cell.run,
        "words": list(cell.words),
    }  # fmt: skip
    if before is None:
        return CellState(**facts)
    state = CellState(**{**asdict(before), **facts})
    # Nobody else holds the study's lock: what was running was killed.
    state.state = "missing" if state.state == "running" else state.state
    return state


def _refuse_strangers(path: Path) -> None:
    if not path.exists():
        return
    names = {entry.name for entry in path.iterdir()} - {".lock", "cells", "logs", "submitit"}
    if names and STUDY not in names:
        kind = "is a run" if "config.yaml" in names else f"is no study (it holds {min(names)})"
        raise StaleRun(f"{path} {kind}; give the study another folder with --name NAME")


def _refuse_other_meanings(path: Path, before: Mapping[str, CellState], grid: Grid) -> None:
    """A study may grow and shrink; what one cell means may not change under its name."""
    meant = {(state.name, state.seed): state.run for state in before.values()}
    for cell in grid.cells:
        run = meant.get((cell.name, cell.seed), cell.run)
        if run != cell.run:
            old = read_yaml(path / "cells" / f"{run}.yaml") if _kept(path, run) else {}
            raise StaleRun(
                f"{path} holds this study with other settings: {cell.title!r} was the run {run} "
                f"and would be {cell.run}{_difference(old, cell)}; give this one another folder "
                "with --name NAME"
            )


def _kept(path: Path, run: str) -> bool:
    return (path / "cells" / f"{run}.yaml").is_file()


def _difference(old: Mapping[str, Any], cell: Cell) -> str:
    changed = []
    for group, binding in cell.config.bindings.items():
        before = old.get(group, {})
        now = {"_target_": binding.target, **binding.settings, **binding.loop_settings}
        for key, value in now.items():
            was = before.get(key)
            value = list(value) if isinstance(value, tuple) else value
            if was != value and group != "tracker":
                changed.append(f"{group}.{key} {was} -> {value}")
    return f" ({'; '.join(changed[:5])})" if old and changed else ""


def _frozen(cell: Cell, study: str) -> str:
    return cell.config.grouped(study).as_yaml()


def _wait_for(lock: Any, path: Path, told: Callable[[str], None]) -> None:
    waited = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not waited:
                told(f"{path} is being swept by another process; waiting for it to end")
            waited = True
            time.sleep(0.5)
