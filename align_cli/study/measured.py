"""Costs of runs that are there already: what an estimate is scaled from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from align_cli.report.result import Lines, read_result

Costs = tuple[float, float, float]
"""(generated tokens, FLOPs, wall-clock seconds)"""

SAME = ("task._target_", "policy.", "engine._target_", "sampler.max_new_tokens")
"""What a run must have in common with a cell for its costs to say anything of the cell's."""


@dataclass(frozen=True)
class Measured:
    """A finished run: its settings and what each stage took."""

    name: str
    identity: Mapping[str, Any]
    costs: Mapping[tuple[int | None, str], Costs] = field(repr=False)
    draws: Mapping[int, float] = field(repr=False)
    """{round: draws per prompt}"""
    overhead: float
    """Seconds that no stage accounts for."""

    def likeness(self, identity: Mapping[str, Any]) -> int | None:
        """How many settings it shares with a cell; None where its costs say nothing of it."""
        for key in self.identity.keys() | identity.keys():
            if key.startswith(SAME) and self.identity.get(key) != identity.get(key):
                return None
        return sum(bool(identity.get(key) == value) for key, value in self.identity.items())

    def same_but_seed(self, identity: Mapping[str, Any]) -> bool:
        """Whether only the seed differs, if anything does."""
        keys = (self.identity.keys() | identity.keys()) - {"seed"}
        return all(self.identity.get(key) == identity.get(key) for key in keys)

    def at(self, round_number: int | None, place: str) -> Costs | None:
        """The cost of a stage; of a later round than there were, the last one's."""
        if round_number is None:
            return self.costs.get((None, place))
        rounds = [n for n, name in self.costs if name == place and n is not None]
        return self.costs.get((min(round_number, max(rounds)), place)) if rounds else None

    @cached_property
    def draws_per_prompt(self) -> float | None:
        """Mean over the rounds."""
        return sum(self.draws.values()) / len(self.draws) if self.draws else None


def measured_runs(outputs: Path) -> list[Measured]:
    """Every finished run of an outputs folder."""
    files = sorted(outputs.glob("*/.identity.json")) if outputs.is_dir() else []
    return [run for file in files if (run := _read(file.parent)) is not None]


def _read(folder: Path) -> Measured | None:
    if not (folder / "metrics.jsonl").is_file():
        return None
    result = read_result(folder)
    overhead = result.outside_seconds
    if overhead is None:
        return None
    costs: dict[tuple[int | None, str], Costs] = {}
    draws: dict[int, float] = {}
    steps: list[tuple[int | None, Lines]] = [(None, result.start), *result.rounds.items()]
    for number, lines in steps:
        for stage, metrics in lines.items():
            if "cost/wall_seconds" not in metrics:
                continue
            flops = metrics["cost/forward_flops"] + metrics["cost/backward_flops"]
            spent = (metrics["cost/generated_tokens"], flops, metrics["cost/wall_seconds"])
            costs[number, stage] = spent
            if number is not None and "sample/draws_per_prompt" in metrics:
                draws[number] = metrics["sample/draws_per_prompt"]
    identity = json.loads((folder / ".identity.json").read_text())
    return Measured(folder.name, identity, costs, draws, overhead)
