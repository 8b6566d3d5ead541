"""Stage 1: the questions of a round, and the held-out ones."""

import time

from align_cli.errors import RowError
from align_cli.loop.context import Loop
from align_cli.loop.sources import stamp
from align_cli.rows import Prompt
from align_cli.store.cost import measured
from align_cli.store.stage import Stage


def ask_questions(loop: Loop, number: int) -> tuple[list[Prompt], Stage]:
    """The training prompts of round `number`."""
    started = time.perf_counter()
    stage = _prompts(loop, split="train", number=number)
    rows = stage.read_all("prompts", Prompt)
    loop.conclude(
        "1_prompts",
        {"1_prompts": stage},
        round_number=number,
        metrics={"prompt/count": len(rows)},
        inputs={},
        seconds=time.perf_counter() - started,
    )
    return rows, stage


def held_out(loop: Loop) -> tuple[list[Prompt], Stage]:
    """The prompts every policy of the run is scored on."""
    started = time.perf_counter()
    stage = _prompts(loop, split="heldout", number=0)
    rows = stage.read_all("prompts", Prompt)
    loop.conclude(
        "1_prompts",
        {"1_prompts": stage},
        round_number=None,
        metrics={"prompt/count": len(rows)},
        inputs={},
        seconds=time.perf_counter() - started,
    )
    return rows, stage


def _prompts(loop: Loop, *, split: str, number: int) -> Stage:
    task = loop.parts["task"]

    def work(stage: Stage) -> None:
        with measured() as cost:
            rows = task(split=split, round_number=number, seed=loop.seed)
            ids = {row.id for row in rows}
            if not rows or len(ids) < len(rows):
                raise RowError(
                    f"task {task.target} gave {len(rows)} {split} prompts with {len(ids)} "
                    "different ids; every prompt of a round must be one of its own"
                )
        stage.write("prompts-00000", rows, Prompt, cost)
        stage.finish(rows_in=len(rows), rows_out=len(rows))

    facts = {
        "task": task.made_from,
        "source": stamp(task.settings),
        "split": split,
        "round": number,
        "seed": loop.seed,
    }
    return loop.make("prompts", facts, work)
