"""Losses for which training draws answers or asks the reference: killed in a step, same bytes."""

import signal

import pytest
from small_runs import attempt, contents

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ONE_ROUND = (
    "schedule.rounds=1", "task.prompts_per_round=24", "task.heldout_prompts=4",
    "evaluation.samples=1", "schedule.batch_size=2", "schedule.micro_batch_size=2",
)  # fmt: skip


@pytest.mark.parametrize("loss", ["hypo", "mapo"])
def test_killed_between_checkpoints_it_ends_with_the_same_bytes(tmp_path, loss):
    words = (*ONE_ROUND, f"loss={loss}")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert attempt(straight, tmp_path / "straight.log", None, words) == 0
    events = (tmp_path / "straight.log").read_text().splitlines()
    steps = [number for number, event in enumerate(events, 1) if event == "train-step"]
    # A checkpoint is written after every second step: steps 2 and 3, from 0, are taken again.
    assert len(steps) > 3
    assert attempt(killed, tmp_path / "killed.log", steps[3], words) == -signal.SIGKILL
    assert attempt(killed, tmp_path / "again.log", None, words) == 0
    assert contents(killed) == contents(straight)
    again = (tmp_path / "again.log").read_text().splitlines().count("train-step")
    assert again == len(steps) - 2
