"""The launcher of one machine: a process per cell, watched, and stopped in good order.

Processes are forked from one that has the libraries in memory already, which saves each cell the
four seconds that importing them takes. Nothing else is common to them.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from align_cli.study.attempt import Attempt, Log, Target
from align_cli.study.cell_process import become_cell

PRELOAD = ["align_cli.loop.rounds", "align_cli.config.compose"]
PATIENCE_S = (15.0, 5.0)
"""How long a process may take to end after SIGINT, and then after SIGTERM."""


@dataclass
class Process:
    """A cell that is running on this machine."""

    child: ForkServerProcess
    log: Log

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.child.exitcode is None

    @property
    def exit_code(self) -> int:
        """Of a process that has ended; negative for a signal."""
        assert self.child.exitcode is not None
        return self.child.exitcode

    def cause(self) -> str:
        """Why it failed."""
        return self.log.cause(self.exit_code)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.running and self.child.pid is not None:
            os.kill(self.child.pid, number)


@dataclass(frozen=True)
class Processes:
    """`--launcher local`."""

    target: Target

    def start(self, config_file: Path, log: Log) -> Process:
        """Fork a process that becomes the cell."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        arguments = (self.target, str(config_file), str(log.file))
        child = context.Process(target=become_cell, args=arguments)
        try:
            child.start()
        except (EOFError, OSError):
            # The process that forks was killed; the second attempt starts another.
            child = context.Process(target=become_cell, args=arguments)
            child.start()
        return Process(child, log)

    def stop(self, attempts: Sequence[Attempt]) -> None:
        """Interrupt all, wait for them to end; terminate, then kill, those that do not."""
        mine = [each for each in attempts if isinstance(each, Process)]
        for number, patience in zip((signal.SIGINT, signal.SIGTERM), PATIENCE_S, strict=True):
            for process in mine:
                process.send(number)
            deadline = time.perf_counter() + patience
            while time.perf_counter() < deadline and any(each.running for each in mine):
                time.sleep(0.05)
        for process in mine:
            process.send(signal.SIGKILL)
            process.child.join()

    def close(self) -> None:
        """Nothing is held."""
