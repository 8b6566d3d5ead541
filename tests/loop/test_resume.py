"""Killed anywhere and started again, a run ends with the bytes of one that was never killed."""

import random
import signal
from collections import Counter

import pytest
from small_runs import attempt, contents

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def logged(file):
    return Counter(line.split()[0] for line in file.read_text().splitlines())


@pytest.mark.parametrize("words", [("sampler=pace", "loss=squaredpo"), ()], ids=["pace", "best"])
def test_killed_twelve_times_is_byte_identical(tmp_path, words):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert attempt(straight, tmp_path / "straight.log", None, words) == 0
    total = sum(logged(tmp_path / "straight.log").values())
    moments = random.Random(20)
    kills = 0
    while attempt(killed, tmp_path / "killed.log", moments.randint(2, total // 9), words) != 0:
        kills += 1
        assert kills < 60, "the run makes no progress"
    assert kills >= 12
    assert contents(killed) == contents(straight)
    once, often = logged(tmp_path / "straight.log"), logged(tmp_path / "killed.log")
    # Each kill costs at most the shard and the training steps (since a checkpoint) it fell into.
    assert often["write"] - once["write"] <= kills
    assert often["train-step"] - once["train-step"] <= 2 * kills
    assert not [file for file in killed.rglob("*.part") if ".store" in str(file)] or kills
    journals = [next(place.glob("*/metrics.jsonl")) for place in (straight, killed)]
    keys = [[line.split('"metrics"')[0] for line in j.read_text().splitlines()] for j in journals]
    assert sorted(keys[0]) == sorted(keys[1])


def test_the_harness_kills(tmp_path):
    assert attempt(tmp_path / "out", tmp_path / "log", 3) == -signal.SIGKILL
