"""What every worker process does: one question a line on stdin, one reply a line on stdout.

A worker is not trusted to stop: `killable.py` ends it at the time limit, and the alarm below does
so if the parent is gone.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

MEMORY_BYTES = 2 * 2**30
"""Address space of one worker: an answer may fill the memory before it reaches the time limit."""
DETAIL_CHARACTERS = 200
"""Of an error's message that are kept."""


def serve(
    reply_to: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    failures: tuple[type[BaseException], ...],
    prepare: Callable[[], object] = lambda: None,
) -> None:
    """Answer until stdin closes, which it also does when the parent is killed.

    `prepare` runs before the worker says that it is ready. An exception of `failures` is the
    question's; any other ends the worker.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Nothing that a library prints may look like a reply.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle.
    prepare()
    confine()
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        alarm(question["alarm_seconds"])
        try:
            reply = reply_to(question)
        except failures as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:DETAIL_CHARACTERS]}
        alarm(0)
        print(json.dumps(reply), file=replies, flush=True)


def confine() -> None:
    """Let an answer that wants more memory than a worker's share fail alone."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        allowed = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))


def alarm(seconds: float) -> None:
    """Let the kernel end this process after so many seconds, whatever Python is busy with."""
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
