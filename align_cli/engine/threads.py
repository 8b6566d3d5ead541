"""Waves side by side on a CPU where processes cannot be (`processes`), or are too many: threads.

A step of a small model is hundreds of products of some ten microseconds. Sharing each of them
among threads gains little on an idle machine, and on a busy one costs ten times the work, since
every product waits for its slowest part. Whole waves need no waiting, and their arithmetic does
not depend on how many threads there are.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

import torch

Job = TypeVar("Job")
Made = TypeVar("Made")
Advance = Callable[[int, int], None]


def work_through(
    jobs: Sequence[Job], work: Callable[[Job, Advance], Made], advance: Advance, *, threads: int
) -> list[Made]:
    """`work(job, advance)` of every job, in order; `threads` of them at a time.

    With fewer jobs than threads, each job's products are shared by the threads left over. The
    first error ends all: work under way meets it at its next call of `advance`.
    """
    workers = min(threads, len(jobs))
    if workers <= 1:
        return [work(job, advance) for job in jobs]
    ended, lock = Event(), Lock()

    def guarded(rows: int, tokens: int) -> None:
        if ended.is_set():
            raise CancelledError
        with lock:
            advance(rows, tokens)

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
    )
    try:
        futures = [pool.submit(work, job, guarded) for job in jobs]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in done and (error := future.exception()) is not None:
                raise error
        return [future.result() for future in futures]
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)
        # The setting of a thread is also the default of threads that start later.
        torch.set_num_threads(before)
