"""Waves side by side on a CPU: a forked process for each core, which shares the model's weights.

A step of a small model is hundreds of products of some ten microseconds, each begun by Python.
Threads wait for one another between them, for Python runs one thread at a time; processes do not,
and what they compute does not depend on how many there are.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, cast

import torch

from align_cli.engine.threads import Advance, Job, Made
from align_cli.errors import AlignError

DIE_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""


def can_fork() -> bool:
    """On Linux, outside of processes that may have none of their own."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def fork_through(
    jobs: Sequence[Job], work: Callable[[Job, Advance], Made], advance: Advance, *, workers: int
) -> list[Made]:
    """`work(job, advance)` of every job, in order; `workers` of them at a time, a core each.

    The first error ends all; a process that dies without a word is an `AlignError`. None outlives
    this call, or this process, however that ends. What `work` changes in memory is not seen here.
    """
    context = multiprocessing.get_context("fork")
    pool: dict[Connection, ForkProcess] = {}
    try:
        for _ in range(min(workers, len(jobs))):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve, args=(jobs, work, theirs, [*pool, ours], os.getpid())
            )
            process.start()
            theirs.close()
            pool[ours] = process
        return _hand_out(len(jobs), pool, advance)
    finally:
        for connection, process in pool.items():
            process.kill()
            process.join()
            connection.close()


def _hand_out(jobs: int, pool: dict[Connection, ForkProcess], advance: Advance) -> list[Any]:
    """Give each process its next job when it is done with one, until all are made."""
    made: dict[int, Any] = {}
    # Waves are sorted by length: the long ones first, so that all processes end together.
    following = reversed(range(jobs))
    for connection in pool:
        connection.send(next(following))
    while len(made) < jobs:
        for connection in cast(list[Connection], wait(list(pool))):
            try:
                kind, *said = connection.recv()
            except EOFError:
                pool[connection].join()
                raise AlignError(
                    "engine=native: a process that decoded one batch ended without a word, with "
                    f"exit code {pool[connection].exitcode} (-9: killed, often for want of "
                    "memory); lower engine.rows or max_new_tokens, or set threads=1"
                ) from None
            if kind == "advance":
                advance(*said)
            elif kind == "made":
                made[said[0]] = said[1]
                if (number := next(following, None)) is not None:
                    connection.send(number)
            else:
                raise said[0]
    return [made[number] for number in range(jobs)]


def _serve(
    jobs: Sequence[Job],
    work: Callable[[Job, Advance], Made],
    ask: Connection,
    others: Sequence[Connection],
    parent: int,
) -> None:
    """In a process of its own: work on the jobs whose numbers come, until it is killed."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        return
    # An interrupt at the keyboard reaches all; the parent decides, and ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for connection in others:
        connection.close()
    # A team of OpenMP threads does not survive a fork: with more than one, it would wait forever.
    torch.set_num_threads(1)

    def advance(rows: int, tokens: int) -> None:
        ask.send(("advance", rows, tokens))

    while True:
        try:
            number = ask.recv()
            ask.send(("made", number, work(jobs[number], advance)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
            if not isinstance(error, AlignError):
                error.add_note(traceback.format_exc())
            ask.send(("failed", error))
