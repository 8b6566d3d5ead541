"""One process per cell: started with a log of its own, watched, and stopped in good order.

Processes are forked from one that has the libraries in memory already, which saves each cell the
four seconds that importing them takes. Nothing else is common to them.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

Target = Callable[[str], None]
"""Runs the cell of a configuration file and ends with `SystemExit`; a module-level function."""

PRELOAD = ["align_cli.loop.rounds", "align_cli.config.compose"]
TAIL_LINES = 6
PATIENCE_S = (15.0, 5.0)
"""How long a process may take to end after SIGINT, and then after SIGTERM."""


@dataclass
class Process:
    """A cell that is running."""

    child: ForkServerProcess
    log: Path
    from_byte: int
    """Where this attempt begins in the log."""
    began: float

    @classmethod
    def start(cls, target: Target, config_file: Path, log: Path, attempt: int) -> "Process":
        """Run the cell of a frozen configuration; its output goes to the log."""
        with log.open("a") as stream:
            when = time.strftime("%F %T")
            stream.write(f"# attempt {attempt}, {when}: align cell {config_file}\n")
            stream.flush()
            from_byte = stream.tell()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        arguments = (target, str(config_file), str(log))
        child = context.Process(target=_cell, args=arguments)
        try:
            child.start()
        except (EOFError, OSError):
            # The process that forks was killed; the second attempt starts another.
            child = context.Process(target=_cell, args=arguments)
            child.start()
        return cls(child, log, from_byte, time.perf_counter())

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.child.exitcode is None

    @property
    def exit_code(self) -> int:
        """Of a process that has ended; negative for a signal."""
        assert self.child.exitcode is not None
        return self.child.exitcode

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.perf_counter() - self.began

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.running and self.child.pid is not None:
            os.kill(self.child.pid, number)

    def tail(self) -> list[str]:
        """The last lines that this attempt wrote."""
        with self.log.open("rb") as stream:
            stream.seek(self.from_byte)
            text = stream.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]

    def cause(self) -> str:
        """Why it failed, in one line: its last word, and the signal if one ended it."""
        last = (self.tail() or ["it wrote nothing"])[-1].strip()
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}; last it wrote: {last}"
        return last


def stop(processes: Sequence[Process]) -> None:
    """Interrupt all, wait for them to end; terminate, then kill, those that do not."""
    for number, patience in zip((signal.SIGINT, signal.SIGTERM), PATIENCE_S, strict=True):
        for process in processes:
            process.send(number)
        deadline = time.perf_counter() + patience
        while time.perf_counter() < deadline and any(each.running for each in processes):
            time.sleep(0.05)
    for process in processes:
        process.send(signal.SIGKILL)
        process.child.join()


def _cell(target: Target, config_file: str, log: str) -> None:
    """In the new process: a session of its own, since Ctrl-C is for the sweep; then the work."""
    os.setsid()
    # A shell's background jobs are started with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_APPEND)
    for source, place in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, place)
    # Lines reach the log as they are written, also those of a process that is killed later.
    sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
    os.environ |= {"NO_COLOR": "1", "COLUMNS": "100"}
    sys.argv = ["align", "cell", config_file]
    target(config_file)
