"""Shared by all tests: no network, real data where it exists, small models built in memory."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No test may reach a hub, an account or a server, whatever the machine is set up with.
os.environ.update(
    {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "WANDB_MODE": "offline", "NO_COLOR": "1"}
)
# Models of tests are too small for threads, and threads that wait for busy cores take minutes.
os.environ.update({"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"})

settings.register_profile("align", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("align")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a file of real data, or a skip that says what is missing."""
    folder = Path(os.environ.get("ALIGN_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"real data {name} is not at {folder}; set ALIGN_TEST_DATA")
        return folder / name

    return find


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """A hundred times a run, some milliseconds each: they guard against the end of the machine.

    What a killed process has written is there without it. test_stage.py holds its order.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def children() -> Callable[[int], set[int]]:
    """The living child processes of a process, without those that were there before the test.

    One that only waits to be reaped is not living.
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")

    def find(parent: int) -> set[int]:
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, ppid = stat.read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(ppid) == parent and state != "Z":
                found.add(int(stat.parent.name))
        return found - before

    # Other tests of this process leave a fork server behind.
    before: set[int] = set()
    before = find(os.getpid())
    return find
