"""Whatever W&B does wrong: the run goes on, and says so once."""

import json
import os
import pty
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb as client
from offline_wandb import read_offline

from align_cli.tracker import wandb as module
from align_cli.tracker.interface import RunFacts, StageArtifact, Tracker, TrackerWarning
from align_cli.tracker.wandb import wandb
from align_cli.tracker.wandb_start import resolve

SETTINGS: dict[str, Any] = {
    "project": "align",
    "entity": None,
    "mode": "offline",
    "group": None,
    "tags": (),
    "weights": "reference",
    "start_timeout": 10.0,
    "finish_timeout": 10.0,
}


class Unforeseen(Exception):
    """W&B's own modules raise children of Exception that share no other root."""


def broken(*args: object, **kwargs: object) -> None:
    raise Unforeseen("the\nserver is on fire")


def facts(folder: Path, run_id: str = "dpo-9f2c") -> RunFacts:
    return RunFacts(run_id=run_id, name="dpo", group=None, folder=folder, config={"seed": 0})


def use(tracker: Tracker, folder: Path) -> None:
    """Everything a run does with a tracker, with time for a failure to arrive."""
    rows = folder / "part-0.parquet"
    rows.write_bytes(b"rows")
    for round_number in range(3):
        tracker.metrics({"eval/greedy": 0.5}, round_number=round_number, step=None)
        tracker.artifact(
            StageArtifact(
                name="round_00/1_prompts",
                kind="prompts",
                fingerprint="9f2c",
                folder=rows,
                rows=1,
            )
        )
        tracker.summary({"cost/tokens": 1.0})
        time.sleep(0.05)
    tracker.finish(3)


@pytest.mark.parametrize("method", ["log", "define_metric", "log_artifact", "finish"])
def test_a_failure_ends_tracking_with_one_warning(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    broken_method = "_log_artifact" if method == "log_artifact" else method
    monkeypatch.setattr(client.Run, broken_method, broken)
    with pytest.warns(TrackerWarning, match="the server is on fire") as caught:
        use(tracker, tmp_path)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracker.metrics({"eval/greedy": 0.5}, round_number=9, step=None)
        tracker.finish(0)
    monkeypatch.undo()
    client.teardown()
    if method != "finish":
        assert read_offline(tmp_path)[0].exit_code == 3, "the run is left open in W&B"


def test_a_start_that_fails_leaves_a_run_without_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "init", broken)
    with pytest.warns(TrackerWarning, match="the server is on fire") as caught:
        tracker = wandb(facts(tmp_path), **SETTINGS)
    assert len(caught) == 1
    use(tracker, tmp_path)
    assert tracker.where == ""


def test_a_missing_stage_does_not_stop_the_run(tmp_path: Path) -> None:
    tracker = wandb(facts(tmp_path), **SETTINGS)
    tracker.artifact(
        StageArtifact(
            name="round_00/1_prompts",
            kind="prompts",
            fingerprint="9f2c",
            folder=tmp_path / "absent",
            rows=1,
        )
    )
    with pytest.warns(TrackerWarning, match="absent is not there"):
        tracker.finish(0)
    client.teardown()


def test_a_client_that_hangs_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = wandb(facts(tmp_path, "hangs"), **SETTINGS | {"finish_timeout": 0.1})
    monkeypatch.setattr(client.Run, "log", lambda *args, **kwargs: time.sleep(3))
    monkeypatch.setattr(module, "MARGIN_S", 0.0)
    start = time.monotonic()
    tracker.metrics({"eval/greedy": 0.5}, round_number=0, step=None)
    with pytest.warns(TrackerWarning, match=r"not done within 0\.1 s"):
        tracker.finish(0)
    assert time.monotonic() - start < 2


def test_a_killed_cell_leaves_what_it_recorded(tmp_path: Path) -> None:
    # The process that starts cells may track, and its run may have the same id.
    parent = wandb(facts(tmp_path / "parent"), **SETTINGS)
    code = RUN.format(folder=str(tmp_path), settings=json.dumps(SETTINGS), guarded=True)
    code = code.replace("tracker.finish(0)", "import time; time.sleep(2); os.kill(os.getpid(), 9)")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert ended.returncode == -9
    (start,) = read_offline(tmp_path, ended=False)
    assert start.history[0]["eval/greedy"] == 0.5
    assert start.exit_code is None
    parent.finish(0)


def test_wandb_is_not_imported_before_it_is_asked_for() -> None:
    code = "import sys, align_cli.tracker.wandb; assert 'wandb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


RUN = """
import json, os, socket, warnings
from pathlib import Path
def refuse(connect):
    def guarded(self, address):
        if self.family != socket.AF_UNIX and {guarded}:
            raise AssertionError(f"connects to {{address}}")
        return connect(self, address)
    return guarded
socket.socket.connect = refuse(socket.socket.connect)
from align_cli.tracker.interface import RunFacts
from align_cli.tracker.wandb import wandb
from align_cli.tracker.wandb_start import resolve
caught = []
warnings.showwarning = lambda message, *rest: caught.append(str(message))
folder = Path({folder!r})
facts = RunFacts(run_id="dpo-9f2c", name="dpo", group=None, folder=folder, config={{"seed": 0}})
tracker = wandb(facts, **json.loads({settings!r}))
tracker.metrics({{"eval/greedy": 0.5}}, round_number=0, step=None)
tracker.finish(0)
(folder / "warnings.json").write_text(json.dumps(caught))
"""


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0)
        yield listening


def connections(server: socket.socket) -> int:
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


Play = Callable[..., list[str]]


@pytest.fixture
def play(tmp_path: Path, server: socket.socket) -> Play:
    """Plays a run in a process with a terminal, an empty home and that server as W&B's."""

    def run(mode: str, guarded: bool, **environment: str) -> list[str]:
        for name in ("home", "cwd", "run"):
            (tmp_path / name).mkdir()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
        environment |= {
            "HOME": str(tmp_path / "home"),
            "WANDB_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        code = RUN.format(
            folder=str(tmp_path / "run"),
            settings=json.dumps(SETTINGS | {"mode": mode, "start_timeout": 1.0}),
            guarded=guarded,
        )
        ours, theirs = pty.openpty()
        # A terminal on all three: a client that would ask can ask, waits, and fails the test.
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path / "cwd",
            env=inherited | environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            timeout=20,
            check=True,
        )
        os.close(theirs)
        try:
            said = os.read(ours, 10_000).decode()
        except OSError:  # Nothing was written before the other end closed.
            said = ""
        os.close(ours)
        assert said == "", "the console is the run's"
        assert not list((tmp_path / "cwd").iterdir()), "the working directory is the user's"
        assert not (tmp_path / "home" / ".netrc").exists()
        caught: list[str] = json.loads((tmp_path / "run" / "warnings.json").read_text())
        return caught

    return run


def test_without_credentials_auto_is_offline_and_asks_and_connects_nothing(
    play: Play, server: socket.socket, tmp_path: Path
) -> None:
    assert play("auto", guarded=True) == []
    assert connections(server) == 0
    (start,) = read_offline(tmp_path / "run")
    assert start.history[0]["eval/greedy"] == 0.5


@pytest.mark.parametrize(
    ("mode", "environment", "logged_in", "resolved", "said"),
    [
        ("auto", None, True, "online", None),
        ("auto", None, False, "offline", None),
        ("auto", "offline", True, "offline", None),
        ("auto", "disabled", True, "disabled", None),
        ("auto", "online", False, "offline", "no credentials"),
        ("online", "offline", True, "online", None),
        ("online", None, False, "offline", "no credentials"),
        ("offline", "online", True, "offline", None),
        ("auto", None, Unforeseen("too short"), "offline", "cannot be used"),
    ],
)
def test_who_decides_the_mode(
    mode: Any,
    environment: str | None,
    logged_in: bool | Unforeseen,
    resolved: str,
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[client.Settings] = []

    def setup(settings: client.Settings) -> SimpleNamespace:
        given.append(settings)
        return SimpleNamespace(settings=settings)

    def login(**asked: bool) -> bool:
        assert asked == {"prompt": False, "verify": False}
        assert given[-1].mode == "online", "login() refuses where the settings say offline"
        if isinstance(logged_in, Exception):
            raise logged_in
        return logged_in

    monkeypatch.setattr(client, "login", login)
    monkeypatch.setattr(client, "setup", setup)
    monkeypatch.delenv("WANDB_MODE")
    if environment:
        monkeypatch.setenv("WANDB_MODE", environment)
    with warnings.catch_warnings(record=True) as caught:
        assert resolve(mode) == resolved
    assert [said in str(warning.message) for warning in caught] == ([True] if said else [])


def test_a_server_that_never_answers_is_given_up_on(
    play: Play, server: socket.socket, tmp_path: Path
) -> None:
    (said,) = play("auto", guarded=False, WANDB_API_KEY="a" * 40)
    assert "recording offline" in said
    assert connections(server) > 0
    assert read_offline(tmp_path / "run")[0].history[0]["eval/greedy"] == 0.5
