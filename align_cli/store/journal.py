"""metrics.jsonl: every number of a run, one line per stage or training step; the local truth."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from align_cli.store.stage import write_text

Key = tuple[int | None, str, int | None]
"""(round, stage, step): what a line is about. Round None is before the first round."""

Mirror = Callable[[Mapping[str, float], int | None, int | None], None]
"""Told of every line that is new in this process: (metrics, round, step)."""


@dataclass
class Journal:
    """An append-only file of metrics in which every key occurs once."""

    file: Path
    mirror: Mirror | None = None
    _lines: dict[Key, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file.exists():
            for line in self.file.read_text().splitlines(keepends=True):
                # A process killed while writing leaves half a line, which is not a record.
                if line.endswith("\n"):
                    self._lines[_key(json.loads(line))] = line
            self._rewrite()

    def __len__(self) -> int:
        return len(self._lines)

    def steps_before(self, round_number: int | None) -> int:
        """Training steps journalled for the rounds before this one."""
        return sum(
            number is not None and step is not None and number < (round_number or 0)
            for number, _, step in self._lines
        )

    def append(
        self,
        metrics: Mapping[str, float],
        *,
        round_number: int | None,
        stage: str,
        step: int | None = None,
    ) -> None:
        """Add a line unless its key is there already (a resumed run tells its past again)."""
        key = (round_number, stage, step)
        if key in self._lines:
            return
        entry = {"round": round_number, "stage": stage, "step": step, "metrics": dict(metrics)}
        self._lines[key] = json.dumps(entry, allow_nan=False) + "\n"
        with self.file.open("a") as stream:
            stream.write(self._lines[key])
            stream.flush()
            if step is None:
                os.fsync(stream.fileno())
        if self.mirror is not None:
            self.mirror(metrics, round_number, step)

    def forget(self, round_number: int | None, stage: str) -> None:
        """Drop every line of a stage."""
        kept = {key: line for key, line in self._lines.items() if key[:2] != (round_number, stage)}
        if len(kept) < len(self._lines):
            self._lines = kept
            self._rewrite()

    def forget_steps(self, round_number: int, stage: str, *, after: int) -> None:
        """Drop training steps beyond the checkpoint that training goes on from."""
        doomed = [
            key
            for key in self._lines
            if key[:2] == (round_number, stage) and key[2] is not None and key[2] > after
        ]
        for key in doomed:
            del self._lines[key]
        if doomed:
            self._rewrite()

    def _rewrite(self) -> None:
        write_text(self.file, "".join(self._lines.values()))


def _key(entry: Mapping[str, object]) -> Key:
    return entry["round"], str(entry["stage"]), entry["step"]  # type: ignore[return-value]
