"""Cells: runs that differ in the seed alone, named by what sets them apart."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from align_cli.errors import ConfigError
from align_cli.study.evidence import RunEvidence

ABSENT = "(absent)"


@dataclass(frozen=True)
class Cell:
    """One setting of a study, at several seeds."""

    name: str
    runs: tuple[RunEvidence, ...]
    """By seed."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """{axis: value} where a study file says so."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """In order."""
        return tuple(run.seed for run in self.runs)

    def of_seeds(self, seeds: Sequence[int]) -> "Cell":
        """The same cell with these of its runs only."""
        return Cell(self.name, tuple(r for r in self.runs if r.seed in seeds), self.choices)


def cell_of(name: str, runs: Sequence[RunEvidence], choices: Mapping[str, str]) -> Cell:
    """A cell whose runs are one a seed, in the order of seeds."""
    by_seed: dict[int, RunEvidence] = {}
    for run in runs:
        if run.seed in by_seed:
            raise ConfigError(
                f"{by_seed[run.seed].name} and {run.name} are the same cell ({name}) and the same "
                f"seed {run.seed}: one result, not two; leave one out"
            )
        by_seed[run.seed] = run
    return Cell(name, tuple(by_seed[seed] for seed in sorted(by_seed)), choices)


def grouped(runs: Sequence[RunEvidence]) -> list[Cell]:
    """Cells of runs that belong to no study, in the order in which they were named."""
    groups: dict[str, list[RunEvidence]] = defaultdict(list)
    for run in runs:
        groups[json.dumps(_settings(run), sort_keys=True)].append(run)
    names = _names([group[0] for group in groups.values()])
    return [cell_of(n, group, {}) for n, group in zip(names, groups.values(), strict=True)]


def _settings(run: RunEvidence) -> dict[str, Any]:
    return {key: value for key, value in run.identity.items() if key != "seed"}


def _names(firsts: Sequence[RunEvidence]) -> list[str]:
    """What sets each cell apart: choices that differ, and settings that differ within a choice."""
    if len(firsts) == 1:
        return [" ".join(f"{g}={firsts[0].choices[g]}" for g in ("sampler", "loss")
                         if g in firsts[0].choices) or firsts[0].name]  # fmt: skip
    groups = list(dict.fromkeys(key.split(".")[0] for run in firsts for key in _settings(run)))
    return [" ".join(p for g in groups for p in _parts(run, g, firsts)) for run in firsts]


def _parts(run: RunEvidence, group: str, firsts: Sequence[RunEvidence]) -> list[str]:
    chosen = run.choices.get(group, ABSENT)
    choices = {other.choices.get(group, ABSENT) for other in firsts}
    parts = [f"{group}={chosen}"] if len(choices) > 1 else []
    peers = [other for other in firsts if other.choices.get(group, ABSENT) == chosen]
    for key in sorted({k for peer in peers for k in peer.identity if k.startswith(f"{group}.")}):
        values = [peer.identity.get(key, ABSENT) for peer in peers]
        if any(value != values[0] for value in values):
            parts.append(f"{key}={shown(run.identity.get(key, ABSENT))}")
    return parts


def brief(name: str) -> str:
    """A cell's name without what its values say by themselves: `sampler=pace` is `pace`.

    A number keeps the last part of its key: `loss.beta=0.1` is `beta=0.1`.
    """
    parts = []
    for part in name.split():
        key, equals, value = part.partition("=")
        plain = bool(equals) and "." not in key and not value[:1].isdigit()
        parts.append(value if plain else f"{key.rpartition('.')[2]}{equals}{value}")
    return " ".join(parts)


def briefs(names: Sequence[str]) -> dict[str, str]:
    """{name: its brief form}, or the names themselves where brief forms would be mistaken."""
    short = {name: brief(name) for name in names}
    return short if len(set(short.values())) == len(short) else {name: name for name in names}


def differences(cells: Sequence[Cell]) -> dict[str, dict[str, str]]:
    """{key: {cell: value}} of every choice and setting that is not the same in all cells."""
    firsts = {cell.name: cell.runs[0] for cell in cells if cell.runs}
    rows: dict[str, dict[str, str]] = {}
    groups = sorted({group for run in firsts.values() for group in run.choices})
    for group in groups:
        rows[group] = {n: run.choices.get(group, ABSENT) for n, run in firsts.items()}
    for key in sorted({key for run in firsts.values() for key in _settings(run)}):
        rows[key] = {n: shown(run.identity.get(key, ABSENT)) for n, run in firsts.items()}
    unscientific = ("tracker",)
    return {
        key: row
        for key, row in rows.items()
        if len(set(row.values())) > 1 and key not in unscientific
    }


def shown(value: Any) -> str:
    """A setting as it is typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
