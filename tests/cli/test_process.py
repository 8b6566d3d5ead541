"""The command as a process: how long it takes, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def align(
    words: list[str], cwd: Path, **env: str
) -> tuple[subprocess.CompletedProcess[str], float]:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "align_cli", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        check=False,
    )
    return done, time.perf_counter() - begun


def cpu_seconds(words: list[str], cwd: Path) -> float:
    """Processor time of the whole process: on a busy machine the clock says nothing."""
    before = os.times()
    align(words, cwd)
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        (["--help"], 0.3),
        (["run", "--help"], 0.3),
        (["check"], 3.0),
        (["run", "loss.bta=1"], 3.0),
        (["sweep", "n_versus_pace", "--dry-run"], 2.0),
    ],
    ids=str,
)
def test_it_answers_at_once(tmp_path: Path, words: list[str], limit: float) -> None:
    # Once is proof that it can; a crowded machine takes longer.
    assert any(cpu_seconds(words, tmp_path) <= limit for _ in range(3))


@pytest.mark.parametrize("words", [["run", "lss=dpo"], ["run", "-m", "loss=dpo,dppo"]], ids=str)
def test_a_mistake_ends_in_2_and_leaves_nothing(tmp_path: Path, words: list[str]) -> None:
    done, _ = align(words, tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("ConfigError: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_colour_without_a_terminal_or_where_it_is_unwanted(tmp_path: Path) -> None:
    for env in ({}, {"NO_COLOR": "1", "FORCE_COLOR": ""}):
        done, _ = align(["run", "lss=dpo"], tmp_path, **env)
        assert "\x1b" not in done.stderr


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "align_cli", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # A shell's background jobs, and so their children, are started with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_hydras_report_on_the_defaults_passes_through(tmp_path: Path) -> None:
    done, _ = align(["run", "--info", "defaults", "loss=squaredpo"], tmp_path)
    assert done.returncode == 0
    assert "loss/squaredpo" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_one_line_and_130(tmp_path: Path) -> None:
    program = (
        "import align_cli.cli.run as r, align_cli.cli, time\n"
        "def wait(job, **how):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "r._carry_out = wait\nalign_cli.cli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # A shell's background jobs, and so their children, are started with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_private_package_needs_no_installation(tmp_path: Path) -> None:
    (tmp_path / "mine" / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "mine" / "conf" / "loss" / "weird.yaml").write_text(
        "# Weird.\n_target_: mine.weird.weird\nbeta: 0.5  # 1/nat\n"
    )
    (tmp_path / "mine" / "weird.py").write_text("def weird(pairs, *, beta: float):\n    'W.'\n")
    words = ["check", "--config-dir", "mine/conf", "loss=weird"]
    refused, _ = align(words, tmp_path)
    assert refused.returncode == 2
    assert "plugins=[mine]" in refused.stderr
    done, _ = align([*words, "plugins=[mine]"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "weird (beta=0.5)" in done.stdout
