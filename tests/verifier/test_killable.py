import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from align_cli.errors import AlignError
from align_cli.verifier import killable
from align_cli.verifier.killable import ask_all

PROGRAM = """
import json, os, sys, time

print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    if question["do"] == "hang":
        time.sleep(600)
    if question["do"] == "die":
        os._exit(7)
    if question["do"] == "slow":
        time.sleep(0.2)
    if question["do"] == "talk":
        question["do"] = "x" * 200_000
    print(json.dumps({"say": question["do"], "pid": os.getpid()}), flush=True)
"""


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "worker.py"
    path.write_text(PROGRAM)
    return path


def questions(words: str) -> list[dict[str, str]]:
    return [{"do": word} for word in words.split()]


@pytest.mark.parametrize("workers", [1, 3])
def test_replies_come_in_the_order_of_the_questions(program, workers):
    words = "slow a b slow c d e"
    replies = ask_all(program, questions(words), workers=workers, timeout_seconds=20)
    assert [reply.content["say"] for reply in replies] == words.split()
    assert len({reply.content["pid"] for reply in replies}) <= workers


def test_a_hanging_question_is_killed_and_the_rest_goes_on(program, children):
    started = time.monotonic()
    replies = ask_all(program, questions("a hang b hang c"), workers=2, timeout_seconds=0.5)
    assert time.monotonic() - started < 20
    outcomes = [reply.outcome for reply in replies]
    assert outcomes == ["answered", "timeout", "answered", "timeout", "answered"]
    assert "0.5 s" in replies[1].detail
    assert not children(os.getpid())


def test_a_crash_costs_its_own_question_only(program, children):
    replies = ask_all(program, questions("a die b die die c"), workers=2, timeout_seconds=20)
    outcomes = [reply.outcome for reply in replies]
    assert outcomes == ["answered", "died", "answered", "died", "died", "answered"]
    assert "exit status 7" in replies[1].detail
    assert not children(os.getpid())


def test_long_questions_and_answers_pass_whole(program):
    long = {"do": "talk", "text": "é" * 300_000}
    first, second = ask_all(program, [long, {"do": "a"}], workers=1, timeout_seconds=20)
    assert len(first.content["say"]) == 200_000
    assert second.content["say"] == "a"


def test_no_question_starts_no_process(tmp_path):
    assert ask_all(tmp_path / "absent.py", [], workers=4, timeout_seconds=1) == []


def test_a_program_that_cannot_start_is_an_error_not_a_verdict(tmp_path, children):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module")
    with pytest.raises(AlignError, match=r"does not start.*broken\.py"):
        ask_all(broken, questions("a b"), workers=2, timeout_seconds=5)
    assert not children(os.getpid())


def test_a_program_that_never_gets_ready_is_an_error(tmp_path, monkeypatch):
    asleep = tmp_path / "asleep.py"
    asleep.write_text("import time; time.sleep(600)")
    monkeypatch.setattr(killable, "START_SECONDS", 0.5)
    with pytest.raises(AlignError, match="does not start"):
        ask_all(asleep, questions("a"), workers=1, timeout_seconds=5)


def test_an_exception_here_leaves_no_process(program, children, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(killable.Worker, "read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ask_all(program, questions("hang hang"), workers=2, timeout_seconds=20)
    assert not children(os.getpid())


def test_workers_of_a_killed_parent_end(children):
    """One worker is idle and sees its stdin close; one is inside an endless power."""
    script = textwrap.dedent(
        """
        from align_cli.verifier import killable
        from align_cli.verifier.math import PROGRAM

        killable.GRACE_SECONDS = 0.5
        ask = dict(gold="7", anywhere=False, strict=True)
        tower = {**ask, "answer": "9^{9^{9^{9}}}"}
        print("go", flush=True)
        killable.ask_all(PROGRAM, [tower, tower, {**ask, "answer": "7"}],
                         workers=3, timeout_seconds=3)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout.readline() == "go\n"
        started = time.monotonic()
        while len(workers := children(parent.pid)) < 3:
            assert time.monotonic() - started < 30
        time.sleep(2)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    deadline = time.monotonic() + 30
    while alive := {pid for pid in workers if _alive(pid)}:
        assert time.monotonic() < deadline, f"orphans: {alive}"
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
