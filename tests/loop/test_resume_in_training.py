"""Losses for which training draws answers or asks the reference: killed in a step, same bytes."""

import signal

import pytest
import torch
from safetensors.torch import load_file
from small_runs import attempt, contents, run_small

from align_cli.model.token_masks import FILE, TokenMasks
from align_cli.seeds import derive

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ONE_ROUND = (
    "schedule.rounds=1", "task.prompts_per_round=24", "task.heldout_prompts=4",
    "evaluation.samples=1", "schedule.batch_size=2", "schedule.micro_batch_size=2",
)  # fmt: skip


@pytest.mark.parametrize("loss", ["hypo", "mapo", "sparsepo_independent"])
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


def test_masks_learn_beside_the_policy_and_go_on_from_round_to_round(tmp_path):
    words = (*ONE_ROUND[1:], "schedule.rounds=2", "loss=sparsepo_independent", "seed=1")
    folder = run_small(tmp_path, *words).folder
    found = [load_file(folder / f"round_0{n}" / "5_policy" / FILE) for n in (0, 1)]
    layers, width = found[0]["reward.weight_LD"].shape
    start = TokenMasks(layers, width, derive(1, "token_masks", 0)).state_dict()
    for name, before in start.items():
        first = (found[0][name] - before).abs().max()
        second = (found[1][name] - found[0][name]).abs().max()
        if name.startswith("reward."):
            assert first > 0, name
        # A step moves a weight by about the learning rate: another start would be far away.
        assert first < 0.1, name
        assert second < 0.1, name
    assert not torch.equal(found[0]["reward.mixer_L"], found[1]["reward.mixer_L"])
