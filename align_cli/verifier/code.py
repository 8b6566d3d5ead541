"""Code must pass its unit tests."""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from align_cli.errors import AlignError
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier import code_sandbox
from align_cli.verifier.verdicts import judged, unscored

PROGRAM = Path(code_sandbox.__file__)
FENCED = re.compile(r"```(?:[Pp]y(?:thon)?3?)?[ \t]*\n(.*?)```", re.DOTALL)
REPLY_BYTES = 10_000
"""Longest reply that is read; a longer one was not written by the sandbox."""

Sandbox = Literal["full", "limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may use."""

    cpu_seconds: int
    wall_seconds: float
    memory_mib: int
    sandbox: Sandbox


def code(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    cpu_seconds: Annotated[int, ">= 1", "s"],
    wall_seconds: Annotated[float, "> 0", "s"],
    memory_mib: Annotated[int, ">= 64", "MiB"],
    over_limit: Literal["unscored", "wrong"],
    sandbox: Sandbox,
    workers: Annotated[int, ">= 1", "processes"],
) -> list[Label]:
    """Right iff the answer's code runs and every test in the gold passes.

        score = 1 if no statement of the code and of the tests raises, else 0

    The code is the last fenced block of the answer, or all of it where there is none. The gold is
    Python that is run after it in the same namespace, such as `assert add(1, 2) == 3`; a gold that
    does not compile is not judged (`unreadable_gold`). A prompt without gold is `no_gold`.

    Each answer runs in a process of its own in an empty folder, with an empty environment and
    without site-packages (the standard library is there), under limits of CPU time, wall time and
    memory, and may write no byte to a file. On Linux (x86-64 and ARM64) a filter of system calls
    also refuses to it new processes, the network, and whatever would change a file: there it can
    compute and read what you can read, and no more. On other platforms rlimits alone hold:
    `sandbox: full` refuses to run there.

    Code that was killed at a limit is unscored: `timeout`, or `error` for memory and for a process
    that dies. A solution that never ends is often counted as wrong instead: that is
    `over_limit: wrong`.

    Code and tests share a process, so an answer that goes looking for the tests' machinery can
    forge its verdict; passing is evidence, not proof.

    Settings:
        cpu_seconds: of one answer, tests included [s].
        wall_seconds: the same by the clock; then its processes are killed [s].
        memory_mib: address space of one answer [MiB].
        over_limit: what code killed at a limit is.
        sandbox: `full` demands the filter of system calls; `limits` settles for rlimits.
        workers: answers that run at once.
    """
    limits = Limits(cpu_seconds, wall_seconds, memory_mib, sandbox)
    with ThreadPoolExecutor(workers) as pool:
        replies = list(pool.map(partial(_reply, limits=limits), prompts, completions))
    return [
        _label(completion, reply, over_limit)
        for completion, reply in zip(completions, replies, strict=True)
    ]


def code_of(text: str) -> str:
    """The last fenced block, or the whole text where there is none."""
    blocks = FENCED.findall(text)
    return str(blocks[-1]) if blocks else text


def _reply(prompt: Prompt, completion: Completion, limits: Limits) -> dict[str, Any]:
    if prompt.gold is None or not prompt.gold.strip():
        return {"outcome": "no_gold" if prompt.gold is None else "unreadable", "detail": "blank"}
    key = secrets.token_hex(16)
    task = {
        "code": code_of(completion.text), "tests": prompt.gold, "key": key,
        "cpu_seconds": limits.cpu_seconds, "memory_bytes": limits.memory_mib << 20,
        "needs_filter": limits.sandbox == "full",
    }  # fmt: skip
    status, output = _run(json.dumps(task).encode(), limits.wall_seconds)
    if status is None:
        return {"outcome": "timeout", "detail": f"not done after {limits.wall_seconds:g} s"}
    try:
        reply = dict(json.loads(output))
    except (ValueError, TypeError):
        reply = {}
    if reply.get("key") == key:
        return reply
    if status == -signal.SIGXCPU:
        return {"outcome": "timeout", "detail": f"not done after {limits.cpu_seconds} s of CPU"}
    return {"outcome": "died", "detail": f"the process died, exit status {status}"}


def _run(task: bytes, wall_seconds: float) -> tuple[int | None, bytes]:
    """Exit status (None if it was killed at the limit) and output of one sandboxed process."""
    with tempfile.TemporaryDirectory(prefix="align-code-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(task, timeout=wall_seconds)
        except subprocess.TimeoutExpired:
            return None, b""
        finally:
            # The whole session: where processes are not refused, what was started goes too.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
    return process.returncode, output[:REPLY_BYTES]


def _label(
    completion: Completion, reply: dict[str, Any], over_limit: Literal["unscored", "wrong"]
) -> Label:
    outcome, detail = str(reply["outcome"]), str(reply["detail"])
    match outcome:
        case "no_gold":
            return unscored(completion, "no_gold")
        case "unreadable":
            return unscored(completion, "unreadable_gold", f"tests: {detail}")
        case "unconfined":
            raise AlignError(
                "verifier=code: this platform has no filter of system calls (it needs Linux on "
                "x86-64 or ARM64), so answers could write files and reach the network; run it in "
                "a container, and say so by verifier.sandbox=limits"
            )
        case "passed" | "failed":
            held = "" if reply.get("filtered") else "limits only"
            right = outcome == "passed"
            said = "; ".join(filter(None, [detail, held]))
            return judged(completion, right=right, score=float(right), answer=None, detail=said)
    if over_limit == "wrong":
        return judged(completion, right=False, score=0.0, answer=None, detail=detail)
    return unscored(completion, "timeout" if outcome == "timeout" else "error", detail)
