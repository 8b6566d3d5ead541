"""What a sweep tells whoever watches it."""

from collections.abc import Sequence
from typing import Protocol

from align_cli.study.attempt import Attempt, Log
from align_cli.study.grid import Cell
from align_cli.study.states import CellState


class Watcher(Protocol):
    """Every method may be called at any rate, from one thread."""

    def begin(self, states: Sequence[CellState], skipped: int) -> None:
        """The sweep starts; so many cells are done already."""

    def started(self, cell: Cell, attempt: int) -> None:
        """A cell was started."""

    def ended(self, cell: Cell, seconds: float) -> None:
        """A cell is done."""

    def failed(self, cell: Cell, cause: str, log: Log, again: bool) -> None:
        """A cell failed; `again` says that it will be started once more."""

    def say(self, line: str) -> None:
        """A line worth reading by itself."""

    def look(self, running: Sequence[tuple[Cell, Attempt]]) -> None:
        """Some time has passed."""


class Unwatched:
    """Nobody watches."""

    def begin(self, states: Sequence[CellState], skipped: int) -> None:
        """Say nothing."""

    def started(self, cell: Cell, attempt: int) -> None:
        """Say nothing."""

    def ended(self, cell: Cell, seconds: float) -> None:
        """Say nothing."""

    def failed(self, cell: Cell, cause: str, log: Log, again: bool) -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def look(self, running: Sequence[tuple[Cell, Attempt]]) -> None:
        """Say nothing."""
