"""Processes forked from one that has the libraries in memory: importing them takes 4 s of CPU."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# pandas is what pyarrow imports when it first writes.
PRELOAD = ["align_cli.loop.rounds", "align_cli.config.compose", "pandas.core.api"]
_server: int | None = None


def forked(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process of its own, started."""
    global _server
    running = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if running not in (None, _server):
        # Another test started it, with less in memory, or nothing.
        os.kill(running, signal.SIGKILL)
        os.waitid(os.P_PID, running, os.WEXITED | os.WNOWAIT)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    child = context.Process(target=target, args=arguments)
    child.start()
    _server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return child


def align(
    place: Path,
    *words: str,
    timeout_s: float = 250,
    cells_too: bool = False,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """`align WORDS` in a folder, in a process of its own, without an input or a terminal.

    With `cells_too`, the cells of a sweep are forked from that process, not from one that has to
    import the libraries first.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("out", "err")]
        outputs = [str(file) for file in files]
        child = forked(_become, str(place), words, environment, outputs, cells_too)
        child.join(timeout_s)
        if child.exitcode is None:
            child.kill()
            child.join()
            raise subprocess.TimeoutExpired(["align", *words], timeout_s)
        texts = [file.read_text() if file.exists() else "" for file in files]
        return subprocess.CompletedProcess(["align", *words], child.exitcode, *texts)


def _become(
    place: str,
    words: tuple[str, ...],
    environment: dict[str, str],
    files: list[str],
    cells_too: bool,
) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    out, err = (os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for file in files)
    for source, number in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(source, number)
    os.environ.update(environment)
    os.chdir(place)
    # As `python -m align_cli` has it.
    sys.path.insert(0, place)
    sys.argv = ["align", *words]
    if cells_too:
        from align_cli.study import processes

        context = multiprocessing.get_context("fork")
        processes.multiprocessing = SimpleNamespace(get_context=lambda _: context)
    from align_cli.cli import main

    main()
