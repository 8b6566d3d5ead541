"""`align sweep --dry-run`: cells, what they share, what they will take, what they can show."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from align_cli.study.detectable import FORMULA, detectable_effect
from align_cli.study.estimate import HOUR_S, Estimate, Oracle
from align_cli.study.finished import finished
from align_cli.study.grid import Cell, Grid
from align_cli.study.naming import name_of
from align_cli.study.spending import spent_on
from align_cli.study.works import works_of

UNKNOWN = "?"


def preview(grid: Grid) -> dict[str, Any]:
    """All that is known of a study before it runs, as plain values."""
    oracle = Oracle(grid.outputs)
    works = {cell.run: works_of(cell.config) for cell in grid.cells}
    over = [cell for cell in grid.cells if finished(cell.folder)]
    there = {work.key for cell in over for work in works[cell.run]}
    cells, total = [], Estimate()
    for cell in grid.cells:
        mine = {work.key: work for work in works[cell.run]}
        todo = [work for key, work in mine.items() if key not in there]
        there |= mine.keys()
        cost = oracle.of(cell, todo)
        if cell not in over:
            cost = cost + oracle.start(cell)
        total = total + cost
        cells.append(_cell(cell, cost, oracle, len(mine) - len(todo), finished=cell in over))
    spent = spent_on(cell.folder for cell in over)
    return {
        "study": grid.study.name,
        "question": grid.study.question,
        "folder": str(grid.folder),
        "cells": cells,
        "finished": len(over),
        "stages": _stages(works.values()),
        "estimate": _plain(total),
        "spent": {"generated_tokens": spent.tokens, "hours": spent.hours},
        "budget": grid.study.budget.as_values(),
        "comparison": _comparison(grid),
    }


def _cell(
    cell: Cell, cost: Estimate, oracle: Oracle, shared: int, *, finished: bool
) -> dict[str, Any]:
    return {
        "name": cell.name,
        "choices": dict(cell.choices),
        "seed": cell.seed,
        "run": cell.run,
        "finished": finished,
        "shared_stages": shared,
        "estimate": _plain(cost),
        "from": oracle.source(cell),
    }


def _plain(cost: Estimate) -> dict[str, float | None]:
    hours = None if cost.seconds is None else cost.seconds / HOUR_S
    return {"generated_tokens": cost.tokens, "flops": cost.flops, "hours": hours}


def _stages(works: Any) -> dict[str, dict[str, int]]:
    """{place: how many the cells need, and how many those are once shared}."""
    needed: Counter[str] = Counter()
    made: dict[str, set[str]] = defaultdict(set)
    for each in works:
        for work in each:
            needed[work.place] += 1
            made[work.place].add(work.key)
    return {p: {"needed": needed[p], "distinct": len(made[p])} for p in sorted(needed)}


def pairs(grid: Grid) -> list[tuple[str, str]]:
    """(cell, its baseline) by the study's `compare`, without seeds."""
    compare = grid.study.compare
    points = list(_conditions(grid).items())
    found = []
    for name, choices in points:
        baseline = name_of({**choices, **compare.against}) if compare.against else points[0][0]
        wanted = all(choices[axis] in labels for axis, labels in compare.cells.items())
        if wanted and baseline != name and baseline in dict(points):
            found.append((name, baseline))
    return found


def _conditions(grid: Grid) -> dict[str, dict[str, str]]:
    """{name: choices} of what is compared; what each method picks for itself is no part of it."""
    kept = ({axis: value for axis, value in cell.choices.items()
             if axis not in grid.study.compare.tune} for cell in grid.cells)  # fmt: skip
    return {name_of(choices): choices for choices in kept}


def _comparison(grid: Grid) -> dict[str, Any]:
    found = pairs(grid)
    items = grid.cells[0].config.bindings["task"].settings.get("heldout_prompts")
    if isinstance(items, int) and grid.study.compare.tune:
        items //= 2  # The other half picks the settings.
    facts: dict[str, Any] = {
        "metric": grid.study.compare.metric,
        "cost": grid.study.compare.cost,
        "pairs": [{"cell": cell, "against": other} for cell, other in found],
        "items": items,
        "seeds": len(grid.study.seeds),
        "formula": f"{FORMULA}; p = 0.5, alpha 0.05, power 0.8",
    }
    if isinstance(items, int) and found:
        count = {"comparisons": len(found)}
        best = detectable_effect(items * len(grid.study.seeds), **count)
        facts["detectable_effect"] = {"best": best, "worst": detectable_effect(items, **count)}
    return facts


def print_preview(facts: Mapping[str, Any], console: Console) -> None:
    """The same, for people."""
    console.print(facts["question"], style="bold", markup=False)
    console.print(_table(facts["cells"]))
    say = _sayer(console)
    stages = facts["stages"]
    for place, counts in stages.items():
        if counts["distinct"] < counts["needed"]:
            say(f"shared: {counts['needed']} {place}, made {counts['distinct']} times")
    say(f"finished: {facts['finished']} of {len(facts['cells'])} cells")
    spent = facts["spent"]
    if facts["finished"]:
        say(f"spent:   {_amount(spent['generated_tokens'])} tokens, {_hours(spent['hours'])}")
    cost = facts["estimate"]
    say(
        f"to come: {_amount(cost['generated_tokens'])} generated tokens, "
        f"{_amount(cost['flops'])} FLOP, {_hours(cost['hours'])} of computing"
    )
    for source, count in Counter(cell["from"] for cell in facts["cells"]).items():
        say(f"         {count} cells by {source}")
    if facts["budget"]:
        say(f"budget:  {facts['budget']}")
    _say_comparison(facts["comparison"], say)


def _say_comparison(facts: Mapping[str, Any], say: Any) -> None:
    pairs_of = facts["pairs"]
    say(f"compare: {len(pairs_of)} pairs of cells by {facts['metric']}, along {facts['cost']}")
    if "detectable_effect" in facts:
        effect = facts["detectable_effect"]
        say(
            f"         detectable effect {effect['best']:.3f} to {effect['worst']:.3f} with "
            f"{facts['items']} items and {facts['seeds']} seeds"
        )
        say(f"         = {facts['formula']}")


def _table(cells: Sequence[Mapping[str, Any]]) -> Table:
    """A line a condition; its seeds' costs are summed."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("cell", "seeds", "state"):
        table.add_column(name, no_wrap=name != "cell")
    for name in ("shared", "tokens", "FLOP", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in dict.fromkeys(cell["name"] for cell in cells):
        mine = [cell for cell in cells if cell["name"] == name]
        over = sum(cell["finished"] for cell in mine)
        state = "finished" if over == len(mine) else f"{over} of {len(mine)}" if over else "new"
        costs = {
            key: _total([cell["estimate"][key] for cell in mine])
            for key in ("generated_tokens", "flops", "hours")
        }
        table.add_row(
            Text(name or "(no axis)"),
            ",".join(str(cell["seed"]) for cell in mine),
            state,
            str(sum(cell["shared_stages"] for cell in mine)),
            _amount(costs["generated_tokens"]),
            _amount(costs["flops"]),
            _hours(costs["hours"]),
        )
    return table


def _total(values: Sequence[float | None]) -> float | None:
    return None if any(value is None for value in values) else sum(v or 0.0 for v in values)


def _amount(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}" if value < 1e9 else f"{value:.2g}"


def _hours(hours: float | None) -> str:
    if hours is None:
        return UNKNOWN
    return f"{hours * HOUR_S:.0f} s" if hours < 0.05 else f"{hours * 60:.0f} min"


def _sayer(console: Console) -> Any:
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
