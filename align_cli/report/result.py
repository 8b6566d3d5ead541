"""A run's numbers, read back from metrics.jsonl: what tables, JSON and `show` are made of."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from align_cli.errors import AlignError

COMMANDS = ("run", "sft", "train-rm")
"""What ends with a line of its own, by the name of the command."""
Lines = Mapping[str, Mapping[str, float]]
"""{stage: metrics}"""


@dataclass(frozen=True)
class RunResult:
    """Everything a run has journalled so far, by round and stage."""

    folder: Path
    start: Lines
    """Before the first round."""
    rounds: Mapping[int, Lines]

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return any(command in self.start for command in COMMANDS)

    @property
    def outside_seconds(self) -> float | None:
        """Seconds of the run that no stage accounts for; None before its end."""
        if not self.complete:
            return None
        last = next(self.start[command] for command in COMMANDS if command in self.start)
        return last["time/outside_stages_seconds"] + last["time/setup_seconds"]

    def shared(self) -> list[str]:
        """Places of stages that other runs had made already."""
        named = [("start", self.start), *((f"round_{n:02d}", r) for n, r in self.rounds.items())]
        return [
            f"{where}/{stage}"
            for where, lines in named
            for stage, metrics in lines.items()
            if metrics.get("time/shared") == 1.0
        ]


def read_result(folder: Path) -> RunResult:
    """The result of a finished or unfinished run."""
    file = folder / "metrics.jsonl"
    if not file.is_file():
        raise AlignError(f"{folder} is not a run folder: it has no metrics.jsonl")
    start: dict[str, dict[str, float]] = {}
    rounds: dict[int, dict[str, dict[str, float]]] = defaultdict(dict)
    for line in file.read_text().splitlines(keepends=True):
        # Training steps are most of the file, and are passed over unread.
        if '"step": null' not in line or not line.endswith("\n"):
            continue
        entry = json.loads(line)
        if entry["step"] is None:
            home = start if entry["round"] is None else rounds[entry["round"]]
            home[entry["stage"]] = entry["metrics"]
    return RunResult(folder, start, dict(sorted(rounds.items())))
