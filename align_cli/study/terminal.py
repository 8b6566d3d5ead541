"""A comparison on a terminal: the question, the verdicts, three tables, and what to mind."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from align_cli.study import sentences as say
from align_cli.study.cells import briefs
from align_cli.study.comparison import Comparison
from align_cli.study.ratio import CostRatio
from align_cli.study.verdict import Claim

FEW = 3
"""Comparisons that are said in sentences too."""
STYLES = {"better": "green", "cheaper": "green", "worse": "red", "dearer": "red"}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Everything that fits eighty columns; claims.json and the page have the rest."""
    axis = comparison.wanted.axis
    console.print(Text(comparison.wanted.question, style="bold"), soft_wrap=True)
    names = briefs([cell.name for cell in comparison.cells])
    ratios = [ratio for ratio in comparison.ratios if ratio.axis == axis]
    if len(comparison.claims) <= FEW:
        for claim in comparison.claims:
            _line(console, say.claim_sentence(claim, names), STYLES.get(claim.verdict, ""))
        for ratio in ratios:
            _line(console, say.ratio_sentence(ratio, names), STYLES.get(ratio.verdict, ""))
        console.print()
    here = [claim for claim in comparison.at_equal_cost if claim.axis == axis]
    tables = [_cells(comparison)]
    if comparison.claims:
        tables.append(_claims("after the last round", comparison.claims, names))
    if here:
        tables.append(_claims(f"at equal cost in {say.AXES[axis]}", here, names))
    if ratios:
        tables.append(_ratios(f"{say.AXES[axis]} for equal accuracy", ratios, names))
    for table in tables:
        console.print(table)
        console.print()
    for note in (*comparison.notes, *_foot(comparison)):
        _line(console, note, "")


def _line(console: Console, text: str, style: str) -> None:
    console.print(Text(text, style=style), soft_wrap=True)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(columns[0], overflow="fold", min_width=16)
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(comparison: Comparison) -> Table:
    axis = comparison.wanted.axis
    columns = ("cell", "seeds", comparison.metric.name, "interval", "between seeds", "cost")
    table = _table(f"cells; cost in {say.AXES[axis]}", columns)
    for cell in comparison.cells:
        level = comparison.levels.get(cell.name)
        if level is None:
            table.add_row(Text(cell.name), "0", "-", "-", "-", "-")
            continue
        spread = level.seed_deviation
        table.add_row(
            Text(cell.name),
            str(level.seeds),
            f"{level.value:.3f}",
            say.interval(level),
            "-" if spread is None else f"{spread:.3f}",
            say.short(comparison.curves[cell.name][-1].cost[axis]),
        )
    return table


def _claims(title: str, claims: Sequence[Claim], names: Mapping[str, str]) -> Table:
    first = claims[0].baseline
    one = all(claim.baseline == first for claim in claims)
    against = f", against {names[first]}" if one else ""
    table = _table(
        f"{title}{against}", ("cell", "effect", "interval", "p (Holm)", "MDE", "verdict")
    )
    for claim in claims:
        table.add_row(
            _pair(claim.cell, "" if one else claim.baseline, names),
            say.signed(claim.effect.value),
            say.interval(claim.effect, signs=True),
            say.p_short(claim.p_corrected),
            "-" if claim.mde is None else f"{claim.mde:.3f}",
            Text(claim.verdict, style=STYLES.get(claim.verdict, "")),
        )
    return table


def _ratios(title: str, ratios: Sequence[CostRatio], names: Mapping[str, str]) -> Table:
    first = ratios[0].baseline
    one = all(ratio.baseline == first for ratio in ratios)
    against = f", against {names[first]}" if one else ""
    columns = ("cell", "ratio", "interval", "p (Holm)", "as good", "verdict")
    table = _table(f"{title}{against}", columns)
    for ratio in ratios:
        table.add_row(
            _pair(ratio.cell, "" if one else ratio.baseline, names),
            "-" if ratio.ratio is None else f"{ratio.ratio:.2f}",
            say.ratio_interval(ratio),
            say.p_short(ratio.p_corrected),
            f"{ratio.reached} of {len(ratio.seeds)}",
            Text(ratio.verdict, style=STYLES.get(ratio.verdict, "")),
        )
    return table


def _pair(cell: str, baseline: str, names: Mapping[str, str]) -> Text:
    return Text(f"{names[cell]} against {names[baseline]}" if baseline else names[cell])


def _foot(comparison: Comparison) -> list[str]:
    dropped = f", {comparison.items_dropped} dropped for want of a judged answer"
    lines = [
        f"{comparison.items} held-out prompts{dropped if comparison.items_dropped else ''}, each "
        "compared with itself",
        "as good: seeds in which the cell gets as good as the best of its baseline",
        say.method(comparison),
        f"{say.COST_RULE} ({say.shared_count(comparison)} here)",
    ]
    return lines
