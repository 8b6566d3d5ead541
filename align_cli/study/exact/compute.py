"""An exact study carried out: each cell once, in the store, by as many processes as are allowed."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from align_cli.errors import AlignError
from align_cli.lab.experiment import Cell, Experiment, Measurement, compute
from align_cli.store import fingerprint
from align_cli.store.cost import measured
from align_cli.store.stage import Stage, Store

ARITHMETIC = ("numpy", "scipy", "torch")
TABLE = "measurements"

Told = Callable[[str], None]


@dataclass(frozen=True)
class Done:
    """A cell that is in the store."""

    cell: Cell
    stage: Stage
    shared: bool
    """It was there before."""

    @property
    def rows(self) -> list[Measurement]:
        """What it measured."""
        return self.stage.read_all(TABLE, Measurement)

    @property
    def seconds(self) -> float:
        """Wall clock of computing it, whenever that was."""
        return self.stage.record.cost["wall_seconds"]


@dataclass(frozen=True)
class Computed:
    """What became of the cells, in their order."""

    done: Sequence[Done]
    failed: Mapping[str, AlignError]
    left: Sequence[str]
    """Cells that were not started, after a failure that was to stop everything."""

    @property
    def made(self) -> int:
        """Cells computed now."""
        return sum(not each.shared for each in self.done)


def stage_of(root: Path, cell: Cell) -> Stage:
    """The place of a cell: named by its function's code, its arguments and the libraries."""
    return Store(root).stage("lab", {"kind": "lab", **_behind(cell.measure), "of": cell.arguments})


@cache
def _behind(measure: str) -> dict[str, Any]:
    return {
        "measure": measure,
        "code": fingerprint.of_code(measure),
        "versions": {name: version(name) for name in ARITHMETIC},
    }


def make(root: Path, cell: Cell) -> bool:
    """Compute a cell unless it is in the store; whether it was made here."""
    stage = stage_of(root, cell)
    with stage.making():
        if stage.complete:
            return False
        with measured() as cost:
            rows = compute(cell)
        stage.write(f"{TABLE}-00000", rows, Measurement, cost)
        stage.finish(rows_in=len(rows), rows_out=len(rows))
    return True


def compute_all(
    experiment: Experiment, root: Path, *, jobs: int, fail_fast: bool, told: Told
) -> Computed:
    """Every cell that is not in the store; a failing one leaves the others alone."""
    cells = experiment.cells
    todo = [cell for cell in cells if not stage_of(root, cell).complete]
    there = {cell.name for cell in cells} - {cell.name for cell in todo}
    told(f"{len(cells)} cells, {len(there)} done already" if there else f"{len(cells)} cells")
    failed: dict[str, AlignError] = {}
    over = len(there)
    began = time.perf_counter()
    with _each(root, todo, jobs) as outcomes:
        for cell, error in outcomes:
            over += 1
            after = f"after {time.perf_counter() - began:.1f} s [{over} of {len(cells)}]"
            told(f"{'done  ' if error is None else 'FAILED'}  {cell.name} {after}")
            if error is not None:
                failed[cell.name] = error
                if fail_fast:
                    break
    finished = [
        Done(cell, stage_of(root, cell), cell.name in there)
        for cell in cells
        if stage_of(root, cell).complete
    ]
    names = {each.cell.name for each in finished} | set(failed)
    return Computed(finished, failed, [cell.name for cell in cells if cell.name not in names])


Outcomes = Iterator[tuple[Cell, AlignError | None]]


@contextmanager
def _each(root: Path, cells: Sequence[Cell], jobs: int) -> Iterator[Outcomes]:
    """(cell, its error) as they end; when the block is left, nothing more is started."""
    if jobs == 1 or len(cells) < 2:
        yield ((cell, _error_of(partial(make, root, cell))) for cell in cells)
        return
    # Forked children of a process with threads (BLAS) may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(cells)), mp_context=context)
    try:
        waiting: dict[Future[bool], Cell] = {pool.submit(make, root, cell): cell for cell in cells}
        yield ((waiting[future], _error_of(future.result)) for future in as_completed(waiting))
    finally:
        pool.shutdown(cancel_futures=True)


def _error_of(work: Callable[[], Any]) -> AlignError | None:
    try:
        work()
    except AlignError as error:
        return error
    return None
