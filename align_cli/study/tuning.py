"""A setting that each method may choose for itself: picked on some prompts, judged on others."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from align_cli.errors import AlignError
from align_cli.study.cells import Cell
from align_cli.study.curves import values_of
from align_cli.study.metrics import Metric


@dataclass(frozen=True)
class Tuning:
    """What is picked, and what is then held against what."""

    axes: tuple[str, ...]
    baselines_of: Callable[[Sequence[Cell]], dict[str, str]]
    """From cells without these axes to {cell: its baseline}."""


@dataclass(frozen=True)
class Tuned:
    """The cells that were picked, and the prompts that had no say in it."""

    cells: tuple[Cell, ...]
    baselines: Mapping[str, str]
    """{cell: its baseline}"""
    items: tuple[str, ...]
    notes: tuple[str, ...]


def tuned(cells: Sequence[Cell], tuning: Tuning, metric: Metric, items: Sequence[str]) -> Tuned:
    """Of the cells that differ in the tuned axes alone, the one whose metric is highest.

    The pick is made on one half of the held-out prompts (every other one in the order of their
    ids, which are hashes) and everything is then compared on the other half: a maximum over noisy
    means is too high on the prompts it was taken over, the more so the more values were tried.
    Seeds are the same in both halves, so what luck a seed has may still favour a pick.

    The first of equals is picked. Cells that lack a seed which another of theirs has are not
    picked, and are noted.
    """
    axes, order = tuning.axes, sorted(items)
    chosen_on, judged_on = order[::2], order[1::2]
    if len(judged_on) < 2:
        raise AlignError(
            f"compare.tune: {len(items)} held-out prompts are too few to pick {', '.join(axes)} on "
            "half of them and to compare on the other; wanted 4 or more"
        )
    groups: dict[tuple[tuple[str, str], ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[tuple(sorted(_others(cell, axes).items()))].append(cell)
    kept: list[Cell] = []
    notes = [
        f"{', '.join(axes)} picked for each cell on {len(chosen_on)} of {len(items)} held-out "
        f"prompts; compared on the other {len(judged_on)}"
    ]
    for group in groups.values():
        cell, said = _picked(group, axes, metric, chosen_on)
        kept.append(cell)
        notes += said
    bare = [replace(cell, choices=_others(cell, axes)) for cell in kept]
    return Tuned(tuple(kept), tuning.baselines_of(bare), tuple(judged_on), tuple(notes))


def _others(cell: Cell, axes: Sequence[str]) -> dict[str, str]:
    return {axis: value for axis, value in cell.choices.items() if axis not in axes}


def _picked(
    group: Sequence[Cell], axes: Sequence[str], metric: Metric, items: Sequence[str]
) -> tuple[Cell, list[str]]:
    seeds = set().union(*(cell.seeds for cell in group))
    whole = [cell for cell in group if cell.runs and set(cell.seeds) == seeds]
    if not whole:
        return group[0], [f"{group[0].name}: no cell of this kind has all its seeds; none picked"]
    lacking = [cell.name for cell in group if cell not in whole]
    notes = [f"{name}: lacks seeds, so it could not be picked" for name in lacking]
    means = [float(values_of(cell.runs, metric, items).mean()) for cell in whole]
    place = max(range(len(whole)), key=lambda k: means[k])
    # One axis has an order; a best value at its end says that the grid may be too narrow.
    if len(axes) == 1 and len(whole) > 2 and place in (0, len(whole) - 1):
        notes.append(f"{whole[place].name}: the best value tried is the last on its side")
    return whole[place], notes
