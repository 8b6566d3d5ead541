"""Questions to worker processes that are killed when they take too long.

A worker is a Python program (a file) that reads one JSON object a line and answers with one. It is
started afresh, not forked, so the threads and memory of this process are not in it; it lives no
longer than the call that started it. It ends when its stdin closes, so it also ends with a parent
that is killed.
"""

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
from typing import Any, Literal

from align_cli.errors import AlignError

START_SECONDS = 120.0
"""Longest start of a worker; imports from a cold disk do not count against a question."""
GRACE_SECONDS = 5.0
"""How much later than this process a worker ends itself, should this process be gone."""

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
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        self.program = program
        self.ready = False
        self.question: int | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self._unread = b""

    def fileno(self) -> int:
        """Where its answers arrive; a selector waits on this."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def ask(self, number: int, question: Mapping[str, Any], timeout_seconds: float) -> None:
        """Hand over a question; its time starts now."""
        assert self.process.stdin is not None
        self.question, self.deadline = number, time.monotonic() + timeout_seconds
        line = json.dumps({**question, "alarm_seconds": timeout_seconds + GRACE_SECONDS})
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It died; its closed stdout says so to whoever reads there.

    def read(self) -> dict[str, Any] | None:
        """The answer, an empty one if its line is not complete yet, None at the process's end."""
        chunk = os.read(self.fileno(), 1 << 16)
        if not chunk:
            return None
        line, found, rest = (self._unread + chunk).partition(b"\n")
        self._unread = rest if found else line
        return dict(json.loads(line)) if found else {}

    def end(self) -> int:
        """Kill and reap the process; its exit status."""
        self.process.kill()
        status = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass  # What it did not read in time is of no use to anybody.
        return status


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
    replies: list[Reply | None] = [None] * len(questions)
    waiting = deque(range(len(questions)))
    team: list[Worker] = []
    selector = selectors.DefaultSelector()

    def dismiss(worker: Worker, outcome: Outcome, detail: str) -> None:
        selector.unregister(worker)
        team.remove(worker)
        status = worker.end()
        if worker.question is None:
            raise AlignError(_does_not_start(worker.program, status, detail))
        replies[worker.question] = Reply(outcome, detail=f"{detail} (exit status {status})")

    try:
        while waiting or any(worker.question is not None for worker in team):
            while len(team) < min(workers, len(waiting) + sum(w.question is not None for w in team)):
                team.append(Worker(program))
                selector.register(team[-1], selectors.EVENT_READ)
            for worker in team:
                if worker.ready and worker.question is None and waiting:
                    number = waiting.popleft()
                    worker.ask(number, questions[number], timeout_seconds)
            for key, _ in selector.select(_patience(team)):
                worker = key.fileobj  # type: ignore[assignment]
                answer = worker.read()
                if answer is None:
                    dismiss(worker, "died", "the worker crashed")
                elif answer and worker.ready and worker.question is not None:
                    replies[worker.question] = Reply("answered", answer)
                    worker.question = None
                elif answer:
                    worker.ready = True
            now = time.monotonic()
            for worker in [w for w in team if _pending(w) and w.deadline <= now]:
                dismiss(worker, "timeout", f"no answer after {timeout_seconds:g} s")
    finally:
        for worker in team:
            worker.end()
        selector.close()
    return [reply for reply in replies if reply is not None]
