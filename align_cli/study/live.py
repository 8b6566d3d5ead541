"""A sweep on the terminal: a table that moves where it can, lines where it cannot."""

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from align_cli.study.attempt import Attempt, Log
from align_cli.study.grid import Cell
from align_cli.study.states import CellState
from align_cli.study.watcher import Watcher

REFRESH_S = 0.5
STATES = ("done", "running", "failed", "missing")


def watcher_for(console: Console) -> Watcher:
    """A live table on a terminal, a line per event elsewhere (a file, a pipe)."""
    return (
        Moving(console) if console.is_terminal and not console.is_dumb_terminal else Told(console)
    )


class Told:
    """A line per event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: Sequence[CellState] = ()

    def begin(self, states: Sequence[CellState], skipped: int) -> None:
        """Say how much there is."""
        self._states = states
        done = f", {skipped} done already" if skipped else ""
        self.say(f"{len(states)} cells{done}")

    def started(self, cell: Cell, attempt: int) -> None:
        """Say which."""
        again = f" (attempt {attempt})" if attempt > 1 else ""
        self.say(f"started {cell.title}{again}")

    def ended(self, cell: Cell, seconds: float) -> None:
        """Say how long it took, and how far the study is."""
        self.say(f"done    {cell.title} in {seconds:.1f} s [{self._counts()}]")

    def failed(self, cell: Cell, cause: str, log: Log, again: bool) -> None:
        """Show the log's end at once, and where the rest of it is."""
        self._line(f"FAILED  {cell.title}: {cause}", "red")
        for line in log.tail()[:-1]:
            self._line(f"        | {line}", "")
        more = "; it is started once more" if again else ""
        self.say(f"        log: {log.file}{more} [{self._counts()}]")

    def say(self, line: str) -> None:
        """Print it."""
        self._line(line, "")

    def look(self, running: Sequence[tuple[Cell, Attempt]]) -> None:
        """Nothing moves here."""

    def _line(self, line: str, style: str) -> None:
        self._console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)

    def _counts(self) -> str:
        counted: Counter[str] = Counter(state.state for state in self._states)
        return ", ".join(f"{counted[state]} {state}" for state in STATES if counted[state])


class Moving(Told):
    """The same lines, above a table of the cells that are running."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        # Without a thread of its own: processes are started meanwhile.
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._looked = 0.0

    def look(self, running: Sequence[tuple[Cell, Attempt]]) -> None:
        """Redraw the table now and then."""
        if not running:
            self._live.stop()
            return
        if time.perf_counter() - self._looked < REFRESH_S:
            return
        self._looked = time.perf_counter()
        if not self._live.is_started:
            self._live.start()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("running", "seed", "stage", "s"):
            table.add_column(name, justify="right" if name == "s" else "left")
        for cell, attempt in running:
            seconds = f"{time.perf_counter() - attempt.log.began:.0f}"
            table.add_row(Text(cell.name), str(cell.seed), stage_of(cell), seconds)
        self._live.update(Group(table, Text(self._counts())), refresh=True)


def stage_of(cell: Cell) -> str:
    """The last stage that a run has finished, as `round_02/4_pairs`."""
    notes = list(cell.folder.glob("*/*.json"))
    if not notes:
        return "starting"
    last = max(notes, key=lambda note: note.stat().st_mtime_ns)
    return f"{last.parent.name}/{last.stem} done"
