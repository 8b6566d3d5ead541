"""Questions to worker processes that are killed when they take too long.

A worker is a Python program (a file) that reads one JSON object a line and answers with one. It is
started afresh, not forked, so the threads and memory of this process are not in it; it lives no
longer than the call that started it. It ends when its stdin closes, so it also ends with a parent
that is killed.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from align_cli.errors import AlignError

START_SECONDS = 120.0
"""Longest start of a worker; imports from a cold disk do not count against a question."""
GRACE_SECONDS = 5.0
"""How much later than this process a worker ends itself, should this process be gone."""
HOME = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
"""Where a worker finds this package, installed or not."""

Outcome = Literal["answered", "timeout", "died"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one question."""

    outcome: Outcome
    content: Mapping[str, Any] = field(default_factory=dict)
    """The worker's answer, if it gave one."""
    detail: str = ""


class Worker:
    """One process, with at most one question in it."""

    def __init__(self, program: Path) -> None:
        # -P: the program's own folder must not shadow the standard library. The hash seed is
        # fixed because sympy's order of terms may depend on it.
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(HOME)},
        )
        self.program = program
        self.ready = False
        self.question: int | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self._unread = b""

    @property
    def busy(self) -> bool:
        """Whether a question is in it."""
        return self.question is not None

    @property
    def idle(self) -> bool:
        """Whether it can take a question."""
        return self.ready and not self.busy

    def fileno(self) -> int:
        """Where its answers arrive; a selector waits on this."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def ask(self, number: int, question: Mapping[str, Any], timeout_seconds: float) -> None:
        """Hand over a question; its time starts now."""
        assert self.process.stdin is not None
        self.question, self.deadline = number, time.monotonic() + timeout_seconds
        line = json.dumps({**question, "alarm_seconds": timeout_seconds + GRACE_SECONDS})
        # A worker that died meanwhile says so by the end of its stdout, which is read anyway.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def read(self) -> dict[str, Any] | None:
        """The answer, an empty one if its line is not complete yet, None at the process's end."""
        chunk = os.read(self.fileno(), 1 << 16)
        if not chunk:
            return None
        line, complete, rest = (self._unread + chunk).partition(b"\n")
        self._unread = rest if complete else line
        return dict(json.loads(line)) if complete else {}

    def end(self) -> int:
        """Kill and reap the process; its exit status."""
        self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            # What it did not read in time is of no use to anybody.
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        return status


class Team:
    """The workers of one call, and what they have answered so far."""

    def __init__(
        self, program: Path, questions: Sequence[Mapping[str, Any]], *, timeout_seconds: float
    ) -> None:
        self.program = program
        self.questions = questions
        self.timeout_seconds = timeout_seconds
        self.waiting = deque(range(len(questions)))
        self.replies: dict[int, Reply] = {}
        self.members: list[Worker] = []
        self.selector = selectors.DefaultSelector()

    @property
    def unfinished(self) -> int:
        """Questions without a reply."""
        return len(self.questions) - len(self.replies)

    def hire(self, workers: int) -> None:
        """As many processes as there is work for, and a question for each that is idle."""
        while len(self.members) < min(workers, self.unfinished):
            self.members.append(Worker(self.program))
            self.selector.register(self.members[-1], selectors.EVENT_READ)
        for worker in self.members:
            if worker.idle and self.waiting:
                number = self.waiting.popleft()
                worker.ask(number, self.questions[number], self.timeout_seconds)

    def listen(self) -> None:
        """Wait for the next answer, crash or deadline, and deal with all that are due."""
        nearest = min(worker.deadline for worker in self.members if not worker.idle)
        for key, _ in self.selector.select(max(0.0, nearest - time.monotonic())):
            worker = cast(Worker, key.fileobj)
            answer = worker.read()
            if answer is None:
                self.dismiss(worker, "died", "the worker crashed")
            elif answer and worker.question is not None:
                self.replies[worker.question] = Reply("answered", answer)
                worker.question = None
            elif answer:
                worker.ready = True
        now = time.monotonic()
        for worker in [each for each in self.members if not each.idle and each.deadline <= now]:
            self.dismiss(worker, "timeout", f"no answer after {self.timeout_seconds:g} s")

    def dismiss(self, worker: Worker, outcome: Outcome, detail: str) -> None:
        """End a worker that hangs or has crashed; only the question in it is lost."""
        self.selector.unregister(worker)
        self.members.remove(worker)
        status = worker.end()
        if not worker.ready:
            raise AlignError(
                f"the worker does not start ({outcome}, exit status {status}); "
                f"see why: {sys.executable} -P {worker.program}"
            )
        if worker.question is not None:
            self.replies[worker.question] = Reply(outcome, detail=f"{detail}, exit status {status}")

    def close(self) -> None:
        """End every process that is left."""
        for worker in self.members:
            worker.end()
        self.selector.close()


def ask_all(
    program: Path,
    questions: Sequence[Mapping[str, Any]],
    *,
    workers: int,
    timeout_seconds: float,
) -> list[Reply]:
    """The reply to every question, in order, whichever worker gave it.

    A question that takes longer than `timeout_seconds` [s] costs its worker's life and nothing
    else; so does one that makes the worker crash. No worker outlives the call.
    """
    team = Team(program, questions, timeout_seconds=timeout_seconds)
    try:
        while team.unfinished:
            team.hire(workers)
            team.listen()
    finally:
        team.close()
    return [team.replies[number] for number in range(len(questions))]
