"""A study carried out: a process a cell, failures apart from one another, nothing made twice."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from align_cli.store.run_folder import in_use
from align_cli.study.attempt import Attempt, Launcher, Log
from align_cli.study.budget import Spent
from align_cli.study.code import code_behind
from align_cli.study.finished import finished
from align_cli.study.grid import Cell, Grid
from align_cli.study.spending import spent_on
from align_cli.study.states import CellState, StudyFolder, done
from align_cli.study.watcher import Watcher

BREATH_S = 0.1
MISTAKE = 2
"""Exit code of what another attempt would not mend."""

Estimator = Callable[[Cell, Sequence[Cell]], Spent]
"""(cell, cells that are done or running) -> what the cell will add."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a study is carried out."""

    jobs: int = 1
    """Cells at the same time."""
    retries: int = 0
    """Further attempts at a cell that failed."""
    fail_fast: bool = False
    """Stop everything at the first failure."""
    launcher: Launcher
    """Where cells run, and what they do there."""


@dataclass
class Outcome:
    """What a sweep came to."""

    states: list[CellState]
    executed: list[str]
    """Runs whose process was started."""
    stopped: str | None
    """Why cells were left out, if any were."""

    def count(self, state: str) -> int:
        """Cells in a state."""
        return sum(each.state == state for each in self.states)


def sweep(grid: Grid, options: Options, watcher: Watcher, estimate: Estimator) -> Outcome:
    """Carry out what is missing of a study."""
    launcher = options.launcher
    with _terminable(), closing(launcher), StudyFolder.opened(grid, watcher.say) as folder:
        work = _Work(grid, options, watcher, estimate, folder)
        try:
            work.go()
        finally:
            watcher.look([])
            launcher.stop([attempt for _, attempt in work.running])
            for cell, _ in work.running:
                folder.cells[cell.run].state = "missing"
            folder.save()
        return Outcome(list(folder.cells.values()), work.executed, work.stopped)


@dataclass
class _Work:
    grid: Grid
    options: Options
    watcher: Watcher
    estimate: Estimator
    folder: StudyFolder
    queue: deque[Cell] = field(default_factory=deque)
    running: list[tuple[Cell, Attempt]] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    waited_for: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    stopped: str | None = None

    def go(self) -> None:
        """Until every cell is done or has failed, or something says stop."""
        for cell in self.grid.cells:
            state = self.folder.cells[cell.run]
            if not done(cell, state):
                state.state, state.error, state.attempts = "missing", None, 0
                self.queue.append(cell)
        self.folder.save()
        states = list(self.folder.cells.values())
        self.watcher.begin(states, skipped=len(states) - len(self.queue))
        while self.queue or self.running:
            self._start()
            if self.stopped is not None and not self.running:
                return
            self._collect()
            if self.stopped is not None and self.options.fail_fast:
                return
            self.watcher.look(self.running)
            time.sleep(BREATH_S)

    def _start(self) -> None:
        """Fill the free places; a cell that another process is writing waits."""
        for _ in range(len(self.queue)):
            if self.stopped is not None or len(self.running) >= self.options.jobs:
                return
            cell = self.queue.popleft()
            if in_use(cell.folder):
                if cell.run not in self.waited_for:
                    self.watcher.say(f"{cell.title}: {cell.folder} is being written; waiting")
                    self.waited_for.add(cell.run)
                self.queue.append(cell)
                continue
            if not self._afforded(cell):
                continue
            state = self.folder.cells[cell.run]
            state.state, state.attempts = "running", state.attempts + 1
            file, place = self.folder.config_file(cell), self.folder.log_file(cell)
            state.log = str(place.relative_to(self.folder.path))
            log = Log.begin(place, file, state.attempts)
            self.running.append((cell, self.options.launcher.start(file, log)))
            self.executed.append(cell.run)
            self.folder.save()
            self.watcher.started(cell, state.attempts)

    def _collect(self) -> None:
        """Take note of cells that have ended."""
        for cell, attempt in list(self.running):
            if attempt.running:
                continue
            self.running.remove((cell, attempt))
            state = self.folder.cells[cell.run]
            if attempt.exit_code == 0 and finished(cell.folder):
                seconds = time.perf_counter() - attempt.log.began
                state.state, state.error, state.seconds = "done", None, seconds
                state.code = code_behind(cell.config)
                self.watcher.ended(cell, seconds)
            else:
                self._failed(cell, attempt, state)
            self.folder.save()

    def _failed(self, cell: Cell, attempt: Attempt, state: CellState) -> None:
        if in_use(cell.folder):
            # Another process was quicker by a moment; what it makes is this cell too.
            state.state, state.attempts = "missing", state.attempts - 1
            self.queue.append(cell)
            return
        cause = attempt.cause()
        if attempt.exit_code == 0:
            cause = f"ended well, but {cell.folder} is not a finished run"
        again = state.attempts <= self.options.retries and attempt.exit_code != MISTAKE
        state.state, state.error = "failed", cause
        if again:
            self.queue.appendleft(cell)
        elif self.options.fail_fast:
            self.stopped = f"stopped at the first failure (--fail-fast): {cell.title}"
        self.watcher.failed(cell, cause, attempt.log, again)

    def _afforded(self, cell: Cell) -> bool:
        """Whether the budget has room; beyond the whole of it nothing more starts."""
        budget = self.grid.study.budget
        arms = [(axis, limit) for axis, limit in budget.per.items() if limit.given]
        for axis, limit in arms:
            arm = {axis: cell.choices[axis]}
            if (why := limit.exceeded_by(self._sum_with(cell, arm))) is not None:
                name = f"{axis}={cell.choices[axis]}"
                self._leave_out(cell, f"budget: with it {name} would take {why}")
                return False
        if budget.whole.given and (why := budget.whole.exceeded_by(self._sum_with(cell, {}))):
            self.stopped = f"budget: with {cell.title} the study would take {why}"
            self.watcher.say(f"{self.stopped}; nothing more is started")
            self.queue.appendleft(cell)
            return False
        return True

    def _leave_out(self, cell: Cell, why: str) -> None:
        self.folder.cells[cell.run].error = why
        self.left_out.append(f"{cell.title}: {why}")
        self.watcher.say(f"{cell.title}: left out; {why}")

    def _sum_with(self, cell: Cell, arm: dict[str, str]) -> Spent:
        """Spent by the cells of an arm, plus what those that run and the next one will add."""
        mine = [c for c in self.grid.cells if all(c.choices[a] == v for a, v in arm.items())]
        going = [other for other, _ in self.running]
        over = [c for c in mine if self.folder.cells[c.run].state in ("done", "failed")]
        total = spent_on(c.folder for c in over)
        known = list(over)
        for each in [*(c for c in going if c in mine), cell]:
            total = total + self.estimate(each, known)
            known.append(each)
        return total


@contextmanager
def _terminable() -> Iterator[None]:
    """A scheduler's SIGTERM, or a terminal that closes, ends the sweep as Ctrl-C does."""
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
