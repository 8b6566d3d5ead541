"""One attempt at a cell: what it wrote, whether it runs, and who can start and stop such."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

TAIL_LINES = 6
LOST = -1000
"""Exit code of an attempt whose worker is gone without a word of how the cell ended."""

Target = Callable[[str], None]
"""Runs the cell of a configuration file and ends with `SystemExit`; a module-level function."""


@dataclass
class Log:
    """What one attempt writes, in a file that holds the attempts before it too."""

    file: Path
    from_byte: int
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def begin(cls, file: Path, config_file: Path, attempt: int) -> "Log":
        """Say in the file what follows."""
        with file.open("a") as stream:
            when = time.strftime("%F %T")
            stream.write(f"# attempt {attempt}, {when}: align cell {config_file}\n")
            stream.flush()
            return cls(file, stream.tell())

    def tail(self) -> list[str]:
        """The last lines that this attempt wrote."""
        with self.file.open("rb") as stream:
            stream.seek(self.from_byte)
            text = stream.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]

    def cause(self, exit_code: int, why_lost: str = "") -> str:
        """Why it failed, in one line: its last word, and the signal if one ended it."""
        last = (self.tail() or ["it wrote nothing"])[-1].strip()
        if exit_code == LOST:
            return f"its worker is gone ({why_lost}); last it wrote: {last}"
        if exit_code < 0:
            return f"killed by {signal.Signals(-exit_code).name}; last it wrote: {last}"
        return last


class Attempt(Protocol):
    """A cell that was started, wherever it runs."""

    log: Log

    @property
    def running(self) -> bool:
        """Whether it has not ended yet; one that waits in a queue has not."""

    @property
    def exit_code(self) -> int:
        """Of one that has ended; negative for a signal, LOST where nobody knows."""

    def cause(self) -> str:
        """Why it failed, in one line."""


class Launcher(Protocol):
    """Starts cells somewhere: on this machine, or on those of a cluster."""

    def start(self, config_file: Path, log: Log) -> Attempt:
        """Run the cell of a frozen configuration; its output goes to the log."""

    def stop(self, attempts: Sequence[Attempt]) -> None:
        """End all of them, in good order where that is possible."""

    def close(self) -> None:
        """Give back what belongs to the launcher itself."""
