"""From the words of a command line to cells: study folders, run folders, or folders of runs."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from align_cli.config.grid import read_yaml
from align_cli.config.nearest import listed, meant
from align_cli.errors import AlignError, ConfigError
from align_cli.study.cells import Cell, briefs, cell_of, grouped
from align_cli.study.comparison import Wanted
from align_cli.study.evidence import RunEvidence, read_run
from align_cli.study.naming import name_of
from align_cli.study.tuning import Tuning

CELLS, STUDY = "cells.jsonl", "study.yaml"


def gather(words: Sequence[str], outputs: Path, *, baseline: str | None) -> Wanted:
    """What the words name, with every run read: one study, or runs grouped by equal settings."""
    folders = [_folder(word, outputs) for word in words]
    if len(folders) == 1 and _is_study(folders[0]):
        return _study(folders[0], baseline)
    cells = grouped([read_run(folder) for folder in _runs(folders)])
    names = [cell.name for cell in cells]
    chosen = names[0] if baseline is None else _named(baseline, cells)
    said = briefs(names)
    others = " or ".join(said[name] for name in names if name != chosen)
    return Wanted(
        question=f"Is {others} better than {said[chosen]}?" if others else f"How good is {chosen}?",
        cells=tuple(cells),
        baselines={name: chosen for name in names if name != chosen},
    )


def _folder(word: str, outputs: Path) -> Path:
    for folder in (Path(word), outputs / word):
        if _is_run(folder) or _is_study(folder) or list(_runs_within(folder)):
            return folder
        if (folder / STUDY).is_file():
            raise ConfigError(
                f"compare: the cells of {folder} were computed exactly and are no runs; its page "
                f"is {folder / 'report.html'}, and `align sweep {folder.name}` prints it"
            )
    known = [each.name for each in _children(outputs) if _is_run(each) or _is_study(each)]
    raise ConfigError(
        f"compare: no run or study {word!r} in {outputs}{meant(Path(word).name, known)}; "
        f"there are {listed(known)}"
    )


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()


def _is_study(folder: Path) -> bool:
    return (folder / CELLS).is_file()


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if not each.name.startswith("."))


def _runs_within(folder: Path) -> Iterable[Path]:
    """Runs of the loop; what other commands train lies in run folders too, without rounds."""
    return (each for each in _children(folder) if _is_run(each) and not _is_other(each))


def _is_other(folder: Path) -> bool:
    """Whether a warm start or a reward model lies there."""
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    return "\ndemonstration:" in text or "\npreference:" in text


def _runs(folders: Sequence[Path]) -> list[Path]:
    """Run folders, each once, in the order named."""
    found: dict[Path, Path] = {}
    for folder in folders:
        if _is_study(folder):
            here = [folder.parent / line["run"] for line in _lines(folder) if _done(line)]
        else:
            here = [folder] if _is_run(folder) else list(_runs_within(folder))
        found |= {each.resolve(): each for each in here if each.resolve() not in found}
    return list(found.values())


def _lines(folder: Path) -> list[dict[str, Any]]:
    """cells.jsonl; a line that is being written is not yet there."""
    lines = (folder / CELLS).read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError as error:
        raise AlignError(f"{folder / CELLS} cannot be read: {error}") from error


def _done(line: Mapping[str, Any]) -> bool:
    return bool(line["state"] == "done")


def _study(folder: Path, baseline: str | None) -> Wanted:
    """A study's cells, under the names and the comparison that its file gives."""
    plan = read_yaml(folder / STUDY)
    comparison: Mapping[str, Any] = plan.get("compare") or {}
    cells, notes = _cells(folder)
    tune = tuple(comparison.get("tune") or ())
    tuning = None
    if baseline is not None:
        chosen = _named(baseline, cells)
        baselines = {cell.name: chosen for cell in cells if cell.name != chosen}
        if tune:
            notes.append(f"{', '.join(tune)}: not picked for each cell, since --baseline names one")
    else:
        baselines = baselines_of(cells, comparison)
        tuning = Tuning(tune, lambda among: baselines_of(among, comparison)) if tune else None
    return Wanted(
        question=str(plan.get("question") or folder.name),
        cells=tuple(cells),
        baselines=baselines,
        notes=tuple(notes),
        folder=folder,
        tuning=tuning,
        metric=str(comparison.get("metric") or Wanted.metric),
        axis=str(comparison.get("cost") or Wanted.axis),
    )


def _cells(folder: Path) -> tuple[list[Cell], list[str]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in _lines(folder):
        groups[name_of(line["choices"])].append(line)
    cells, notes = [], []
    for name, lines in groups.items():
        runs = [read_run(folder.parent / line["run"]) for line in lines if _done(line)]
        finished = [run for run in runs if run.complete]
        cells.append(cell_of(name, finished, lines[0]["choices"]))
        notes += _missing(name, lines, runs)
    return cells, notes


def _missing(
    name: str, lines: Sequence[Mapping[str, Any]], runs: Sequence[RunEvidence]
) -> list[str]:
    states = Counter(line["state"] for line in lines if not _done(line))
    states["unfinished"] += sum(not run.complete for run in runs)
    counted = [f"{count} {state}" for state, count in states.items() if count]
    return [f"{name}: {', '.join(counted)} of {len(lines)} runs, left out"] if counted else []


def baselines_of(cells: Sequence[Cell], comparison: Mapping[str, Any]) -> dict[str, str]:
    """Each cell's baseline: the cell that differs by `against` alone; the first without a spec."""
    against: Mapping[str, str] = comparison.get("against") or {}
    wanted: Mapping[str, Sequence[str]] = comparison.get("cells") or {}
    by_choices = {tuple(sorted(cell.choices.items())): cell.name for cell in cells}
    pairs = {}
    for cell in cells:
        other = by_choices.get(tuple(sorted({**cell.choices, **against}.items())))
        if not against:
            other = cells[0].name
        fits = all(cell.choices.get(axis) in labels for axis, labels in wanted.items())
        if other is not None and other != cell.name and fits:
            pairs[cell.name] = other
    return pairs


def _named(word: str, cells: Sequence[Cell]) -> str:
    """The one cell that a word names: by its name, a part of it, or one of its runs."""
    exact = [c.name for c in cells if word == c.name or word in [run.name for run in c.runs]]
    found = exact or [c.name for c in cells if word in c.name]
    if len(found) == 1:
        return found[0]
    names = [cell.name for cell in cells]
    raise ConfigError(
        f"--baseline: {word!r} names {len(found)} cells{meant(word, names)}; there are "
        f"{listed(names)}"
    )
