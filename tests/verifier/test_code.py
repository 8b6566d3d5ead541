"""Code under its tests: what it may do, what it may not, and what becomes of it."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from align_cli.errors import AlignError
from align_cli.verifier import code as code_module
from align_cli.verifier.code import code, code_of
from align_cli.verifier.code_sandbox import bpf_program

CODE = {
    "cpu_seconds": 5, "wall_seconds": 60.0, "memory_mib": 256, "over_limit": "unscored",
    "sandbox": "full", "workers": 2,
}  # fmt: skip
TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0"
ADD = "def add(a, b):\n    return a + b\n"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the filter is Linux's")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1", "x = 1"),
        ("So:\n```python\nx = 1\n```\nand better:\n```\nx = 2\n```\nDone.", "x = 2\n"),
        ("```py\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1", "```python\nx = 1"),
    ],
)
def test_the_code_is_the_last_fenced_block(text, found):
    assert code_of(text) == found


@linux
def test_passing_failing_and_unreadable(judge, children):
    rows = [
        (TESTS, f"```python\n{ADD}```"),
        (TESTS, ADD.replace("+", "-")),
        (TESTS, "def add(:"),
        (TESTS, "raise SystemExit(0)"),
        (TESTS, "import os\nos._exit(0)"),
        (TESTS, f"{ADD}print('x' * 100000)"),
        ("assert add(", ADD),
        ("  ", ADD),
        (None, ADD),
        (TESTS, f"{ADD}import threading\nt = threading.Thread(target=add, args=(1, 2))\n"
         "t.start()\nt.join()"),
    ]  # fmt: skip
    labels = judge(code, rows, **CODE)
    assert [label.right for label in labels] == [
        True, False, False, False, None, True, None, None, None, True
    ]  # fmt: skip
    verdicts = {n: label.verdict for n, label in enumerate(labels) if label.verdict != "judged"}
    assert verdicts == {4: "error", 6: "unreadable_gold", 7: "unreadable_gold", 8: "no_gold"}
    assert labels[1].detail == "tests: AssertionError: "
    assert labels[2].detail.startswith("code: SyntaxError")
    assert not children(os.getpid())


@linux
def test_it_can_compute_and_nothing_else(judge, tmp_path, children):
    """Each row tries one thing that must fail, and passes only where it failed as it should."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        tries = [
            "os.fork()",
            "subprocess.run(['true'])",
            "os.execv('/bin/true', ['true'])",
            f"open({str(victim)!r}, 'w')",
            f"open({str(victim)!r}, 'a')",
            f"os.remove({str(victim)!r})",
            f"os.rename({str(victim)!r}, {str(victim) + '2'!r})",
            f"os.truncate({str(victim)!r}, 0)",
            f"os.chmod({str(victim)!r}, 0)",
            "open('new', 'x')",
            "os.mkdir('new')",
            "tempfile.TemporaryFile()",
            f"socket.create_connection(('127.0.0.1', {port}))",
            f"os.kill({os.getpid()}, {int(signal.SIGTERM)})",
        ]
        head = "import os, socket, subprocess, tempfile\n"
        rows = [
            (f"try:\n    {each}\nexcept OSError:\n    held = True\nassert held", head)
            for each in tries
        ]
        labels = judge(code, rows, **CODE)
    assert {each: label.detail for each, label in zip(tries, labels, strict=True)
            if not label.right} == {}  # fmt: skip
    assert victim.read_text() == "kept"
    assert [each.name for each in tmp_path.iterdir()] == ["victim"]
    assert not children(os.getpid())


@linux
def test_limits_kill_and_leave_the_answer_unscored(judge, children):
    rows = [
        (TESTS, "while True: pass"),
        (TESTS, "import time\ntime.sleep(600)"),
        (TESTS, "x = bytearray(10 ** 9)"),
        (TESTS, ADD),
    ]
    limits = {"cpu_seconds": 1, "wall_seconds": 6.0, "workers": 4}
    labels = judge(code, rows, **{**CODE, **limits})
    assert [label.verdict for label in labels] == ["timeout", "timeout", "error", "judged"]
    assert all(label.score is None for label in labels[:3])
    assert not children(os.getpid())
    wrong = judge(code, rows[2:], **{**CODE, "over_limit": "wrong"})
    assert [label.right for label in wrong] == [False, True]


@linux
def test_no_folder_is_left_behind(judge, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    judge(code, [(TESTS, ADD)], **CODE)
    assert list(tmp_path.iterdir()) == []


def test_without_the_filter_full_refuses_and_limits_says_so(judge, tmp_path, monkeypatch):
    bare = tmp_path / "bare.py"
    text = Path(code_module.PROGRAM).read_text()
    bare.write_text(text.replace("def close_off() -> bool:", "def close_off() -> bool:\n"
                                 "    return False\n\n\ndef unused() -> bool:"))  # fmt: skip
    monkeypatch.setattr(code_module, "PROGRAM", bare)
    with pytest.raises(AlignError, match="no filter of system calls"):
        judge(code, [(TESTS, ADD)], **CODE)
    [label] = judge(code, [(TESTS, ADD)], **{**CODE, "sandbox": "limits"})
    assert (label.right, label.detail) == (True, "limits only")


def test_other_machines_have_no_filter():
    assert bpf_program("riscv64") is None
    for machine in ("x86_64", "aarch64"):
        program = bpf_program(machine)
        assert program is not None
        assert all(max(if_true, if_false) < 255 for _, if_true, if_false, _ in program)
