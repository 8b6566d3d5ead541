"""Killed anywhere and started again, a run ends with the bytes of one that was never killed."""

import random
import signal
from collections import Counter

import pytest
from small_runs import attempt, contents, ended

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
TWICE = ("round_00/2_completions", "round_00/5_policy", "round_01/6_scores")
"""Stages killed once more, soon after they went on."""


def kind(event):
    return event.split()[0]


def stages(events):
    """{place of a stage: its events, in order}, of a run that nothing stopped."""
    found, here = {}, []
    for event in events:
        here.append(event)
        if place := ended(event):
            found[place], here = here, []
    assert not here
    return found


def moment_in(events, moments):
    """The number (from 1) of one of these events: each kind of event is as likely as another."""
    chosen = moments.choice(sorted({kind(event) for event in events}))
    # The last one ends the stage.
    return moments.choice([n for n, e in enumerate(events[:-1], 1) if kind(e) == chosen])


@pytest.mark.parametrize("words", [("sampler=pace", "loss=squaredpo"), ()], ids=["pace", "best"])
def test_killed_in_every_stage_is_byte_identical(tmp_path, words):
    straight, killed, log = tmp_path / "straight", tmp_path / "killed", tmp_path / "killed.log"
    assert attempt(straight, tmp_path / "straight.log", None, words) == 0
    once = (tmp_path / "straight.log").read_text().splitlines()
    moments, before, fell = random.Random(20), "", []
    for place, events in stages(once).items():
        plan = [(before, moment_in(events, moments))]
        if place in TWICE:
            plan.append(moments.randint(2, 12))
        for moment in plan:
            assert attempt(killed, log, moment, words) == -signal.SIGKILL, (place, moment)
            assert not list(killed.glob(f"*/{place}.json")), "the stage had ended"
            fell.append(log.read_text().splitlines()[-1])
        before = place
    assert attempt(killed, log, None, words) == 0
    kills = len(fell)
    assert kills >= 12
    assert {*map(kind, fell)} == {"write", "before-move", "after-move", "advance", "train-step"}
    assert contents(killed) == contents(straight)
    # Each kill costs at most the shard and the training steps (since a checkpoint) it fell into.
    often, once = Counter(map(kind, log.read_text().splitlines())), Counter(map(kind, once))
    assert often["write"] - once["write"] <= kills
    assert often["train-step"] - once["train-step"] <= 2 * kills
    journals = [next(place.glob("*/metrics.jsonl")) for place in (straight, killed)]
    keys = [[line.split('"metrics"')[0] for line in j.read_text().splitlines()] for j in journals]
    assert sorted(keys[0]) == sorted(keys[1])


def test_the_harness_kills(tmp_path):
    assert attempt(tmp_path / "out", tmp_path / "log", 3) == -signal.SIGKILL
