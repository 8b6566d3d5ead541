"""Small runs of the bundled world, in this process or in one that can be killed."""

import hashlib
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warm import forked

SMALL = (
    "tracker=none", "device=cpu", "threads=1", "task.prompts_per_round=48",
    "task.heldout_prompts=24", "evaluation.samples=2", "schedule.rounds=2", "schedule.epochs=1",
    "schedule.checkpoint_every=2", "schedule.batch_size=4", "schedule.micro_batch_size=4",
    "engine.shard_draws=64",
)  # fmt: skip

TOYS = (f"--config-dir={Path(__file__).parent / 'toy_conf'}", "plugins=[toy_group_loss]")
"""Words that offer the losses of tests/toy_group_loss.py."""


def run_small(outputs: Path, *words: str) -> Any:
    """The result of a small run in this process."""
    from align_cli.config.compose import compose
    from align_cli.loop.rounds import run
    from align_cli.report.reporter import Silent

    return run(compose(words_of(outputs, words)), Silent())


def words_of(outputs: Path, words: Sequence[str]) -> list[str]:
    """The command line of a small run; a later word replaces an earlier one of the same key."""
    by_key = {word.split("=")[0]: word for word in (*SMALL, f"outputs={outputs}", *words)}
    return list(by_key.values())


def contents(outputs: Path) -> dict[str, str]:
    """{path: sha256} of every row file and every weight file in the store."""
    files = [*outputs.rglob("*.parquet"), *outputs.rglob("*.safetensors")]
    return {
        str(file.relative_to(outputs)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
        if ".store" in file.parts and not file.is_symlink()
    }


Moment = int | str | tuple[str, int] | None
"""The n-th event, the first of a name, or (place, n): the n-th after the stage at `place` ended."""


def attempt(outputs: Path, log: Path, kill_at: Moment, words: Sequence[str] = ()) -> int:
    """Exit code of a run in a child that kills itself at a moment.

    Events are moves of files (counted before and after), progress of engine and labels, and
    training steps, so kills fall into every stage and into writes. The child appends to `log`
    what it does.
    """
    child = forked(_child, outputs, log, kill_at, tuple(words))
    child.join(240)
    assert child.exitcode is not None, "the run hangs"
    return child.exitcode


def ended(event: str) -> str | None:
    """The place (`round_00/4_pairs`) of the stage whose record this event has moved there."""
    found = re.fullmatch(r"after-move .*/((?:start|round_\d+)/\w+)\.json", event)
    return found[1] if found else None


def _child(outputs: Path, log: Path, kill_at: Moment, words: tuple[str, ...]) -> None:
    from align_cli.loop.trail import Trail
    from align_cli.report.reporter import Silent
    from align_cli.store.stage import Stage

    count, since, place = 0, 0, ""

    def event(name: str) -> None:
        nonlocal count, since, place
        count, since = count + 1, since + 1
        with log.open("a") as stream:
            stream.write(f"{name}\n")
        if kill_at in (count, name, (place, since)):
            os.kill(os.getpid(), signal.SIGKILL)
        if now := ended(name):
            place, since = now, 0

    move, write, step, advance = os.replace, Stage.write, Trail.step, Silent.advance

    def watched_move(source: Any, target: Any, **more: Any) -> None:
        event(f"before-move {target}")
        move(source, target, **more)
        event(f"after-move {target}")

    def watched_write(self: Any, shard: str, *more: Any) -> None:
        event(f"write {self.kind}")
        write(self, shard, *more)

    def watched_step(self: Any, *more: Any) -> None:
        event("train-step")
        step(self, *more)

    def watched_advance(self: Any, *more: Any) -> None:
        event("advance")
        advance(self, *more)

    os.replace = watched_move
    Stage.write, Trail.step, Silent.advance = watched_write, watched_step, watched_advance
    run_small(outputs, *words)
