"""The trail of a training: one line per optimiser step, in step with the checkpoints."""

import json
from collections.abc import Mapping
from pathlib import Path

from align_cli.loop.context import Loop

WORK = "work"
"""Where in a policy's stage checkpoints lie while it is trained."""
STEPS = "steps.jsonl"


class Trail:
    """Step numbers go to the stage's own file, the journal and the watcher at once."""

    def __init__(self, loop: Loop, number: int, file: Path, place: str = "5_policy") -> None:
        self._loop, self._number, self._file, self._place = loop, number, file, place

    def start(self, done: int, total: int) -> None:
        """Go on from `done` steps: what was told of later ones is taken back."""
        kept = [(step, values) for step, values in read_steps(self._file) if step < done]
        self._file.write_text("".join(_step_line(step, values) for step, values in kept))
        self._loop.journal.forget_steps(self._number, self._place, after=done - 1)
        self._loop.reporter.begin(f"round {self._number} train", total=total, unit="steps")
        self._loop.reporter.advance(done)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tell of one step, the first being 0."""
        with self._file.open("a") as stream:
            stream.write(_step_line(step, metrics))
        self._loop.journal.append(metrics, round_number=self._number, stage=self._place, step=step)
        self._loop.reporter.advance(1)


def _step_line(step: int, metrics: Mapping[str, float]) -> str:
    return json.dumps({"step": step, "metrics": metrics}) + "\n"


def read_steps(file: Path) -> list[tuple[int, dict[str, float]]]:
    """(step, metrics) of every whole line; none where there is no file."""
    if not file.exists():
        return []
    # A process killed while writing leaves half a line.
    lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    entries = [json.loads(line) for line in lines]
    return [(entry["step"], entry["metrics"]) for entry in entries]
