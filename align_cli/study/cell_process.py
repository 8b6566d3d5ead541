"""The process of a cell, from within: its session, its log, then the work.

    python -m align_cli.study.cell_process MODULE:FUNCTION CONFIG_FILE LOG

is what launchers start that hand cells to workers of their own (joblib, submitit, Ray).
"""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time

from align_cli.study.attempt import Target

LOOK_S = 0.5


def become_cell(target: Target, config_file: str, log: str) -> None:
    """A session of its own, since Ctrl-C is for the sweep; the log for an output; the work."""
    os.setsid()
    # A shell's background jobs are started with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for source, place in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(source, place)
    # Lines reach the log as they are written, also those of a process that is killed later.
    sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
    os.environ |= {"NO_COLOR": "1", "COLUMNS": "100"}
    sys.argv = ["align", "cell", config_file]
    target(config_file)


def command_of(target: Target, config_file: str, log: str) -> list[str]:
    """What a worker starts, on any machine that sees the same files."""
    name = f"{target.__module__}:{target.__qualname__}"
    return [sys.executable, "-m", __name__, name, config_file, log]


def run_command(command: list[str], folder: str) -> int:
    """In a worker: the cell as a process of its own, so that one that is killed kills no worker.

    A worker is not asked to unpickle anything of align's, and keeps no memory of the cell.
    """
    return subprocess.run(command, cwd=folder, check=False, stdin=subprocess.DEVNULL).returncode


def _end_with_parent(parent: int) -> None:
    """A worker that is ended by its launcher takes its cell with it."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGINT)


def main(arguments: list[str]) -> None:
    """Become the cell that the arguments name."""
    name, config_file, log = arguments
    module, _, function = name.partition(":")
    watch = threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True)
    watch.start()
    become_cell(getattr(importlib.import_module(module), function), config_file, log)


if __name__ == "__main__":
    main(sys.argv[1:])
