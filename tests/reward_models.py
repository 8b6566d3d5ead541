"""Small trainings of reward models, on pairs of the bundled world written by hand or by a run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from align_cli.arithmetic import draw_problem, forgetful, true_step, write_solution

SMALL = (
    "tracker=none", "device=cpu", "threads=1", "preference=jsonl", "train.epochs=1",
    "train.batch_size=4", "train.micro_batch_size=4", "train.checkpoint_every=2",
    "train.probe_pairs=10",
)  # fmt: skip


def write_pairs(file: Path, count: int = 60, **more: Any) -> Path:
    """One-step sums: the truth over the forgotten carry, as prompt, chosen, rejected."""
    import random

    stream, lines = random.Random(0), []
    while len(lines) < count:
        problem = draw_problem(stream, steps=1, first_max=50, split="train")
        chosen = write_solution(problem, true_step)
        rejected = write_solution(problem, forgetful)
        if chosen != rejected:
            lines.append({"prompt": problem.text, "chosen": chosen, "rejected": rejected, **more})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def train_rm(outputs: Path, *words: str) -> Any:
    """The result of a small training in this process."""
    from align_cli.config.compose import compose_reward
    from align_cli.loop.reward_training import run_train_rm
    from align_cli.report.reporter import Silent

    return run_train_rm(compose_reward(words_of(outputs, words)), Silent())


def words_of(outputs: Path, words: Sequence[str]) -> list[str]:
    """The command line of a small training; a later word replaces an earlier one."""
    by_key = {word.split("=")[0]: word for word in (*SMALL, f"outputs={outputs}", *words)}
    return list(by_key.values())
