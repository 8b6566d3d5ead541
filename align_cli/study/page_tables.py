"""The tables of the page: cells, claims, cost ratios, seeds, settings, runs."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from align_cli.study import sentences as say
from align_cli.study.cells import briefs, differences
from align_cli.study.comparison import Comparison
from align_cli.study.drawing import key, whisker
from align_cli.study.ratio import CostRatio
from align_cli.study.verdict import Claim

SIGNS = {"better": "\u25b2 ", "worse": "\u25bc ", "cheaper": "\u25bc ", "dearer": "\u25b2 "}
"""Up is more of what the row is about, so that colour is not all that tells."""


def chip(verdict: str) -> str:
    """A verdict that is told by colour, sign and word."""
    return f'<span class="chip {verdict}">{SIGNS.get(verdict, "")}{verdict}</span>'


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text: Sequence[int] = (),
    kind: str = "",
) -> str:
    """Rows of ready HTML under column names; the columns in `text` hold words."""
    sides = [' class="text"' if place in text else "" for place in range(len(columns))]
    head = "".join(f"<th{s}>{escape(name)}</th>" for s, name in zip(sides, columns, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{s}>{cell}</td>" for s, cell in zip(sides, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide {kind}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def named(comparison: Comparison, name: str) -> str:
    """A cell's name with the line it has in the chart."""
    numbers = {each: number for number, each in enumerate(comparison.curves)}
    line = key(numbers[name]) if name in numbers else ""
    return f'<span title="{escape(name, quote=True)}">{line}{brief_of(comparison, name)}</span>'


def brief_of(comparison: Comparison, name: str) -> str:
    """A cell's name as the page says it, ready for HTML."""
    return escape(briefs([cell.name for cell in comparison.cells])[name])


def ranged(value: str, low_high: str) -> str:
    """A number with its interval in small print."""
    return f'{value} <span class="range">{low_high}</span>'


def cells(comparison: Comparison) -> str:
    """What each cell ends with, and what it took."""
    axes = list(say.AXES)
    rows = []
    for cell in comparison.cells:
        level = comparison.levels.get(cell.name)
        if level is None:
            rows.append([named(comparison, cell.name), "0", *["-"] * 4])
            continue
        cost = comparison.curves[cell.name][-1].cost
        rows.append([
            named(comparison, cell.name),
            str(level.seeds),
            ranged(f"{level.value:.3f}", say.interval(level)),
            *(say.short(cost[axis]) for axis in axes),
        ])  # fmt: skip
    return table(("cell", "seeds", comparison.metric.name, "tokens", "FLOPs", "s"), rows)


def claims(comparison: Comparison, found: Sequence[Claim]) -> str:
    """Effects on one scale, with what they could have shown."""
    reach = max((abs(end) for c in found for end in (c.effect.low, c.effect.high)), default=1) or 1
    first = found[0].baseline if found else ""
    one = all(claim.baseline == first for claim in found)
    rows = []
    for claim in found:
        name = named(comparison, claim.cell)
        about = [] if one else [f"against {brief_of(comparison, claim.baseline)}"]
        about += [] if claim.cost is None else [f"at {say.short(claim.cost)}"]
        name += f' <span class="range">{" ".join(about)}</span>' if about else ""
        rows.append([
            name,
            f'<span class="{claim.verdict}">{whisker(claim.effect, reach)}</span>',
            ranged(say.signed(claim.effect.value), say.interval(claim.effect, signs=True)),
            say.p_short(claim.p_corrected),
            "-" if claim.mde is None else f"{claim.mde:.3f}",
            chip(claim.verdict),
        ])  # fmt: skip
    against = "against " + briefs([c.name for c in comparison.cells])[first] if one else "cell"
    return table((against, "", "effect", "p (Holm)", "MDE", "verdict"), rows, kind="narrow")


def ratios(comparison: Comparison, found: Sequence[CostRatio]) -> str:
    """Cost at equal accuracy along every axis."""
    rows = [
        [
            named(comparison, each.cell),
            brief_of(comparison, each.baseline),
            say.AXES[each.axis],
            "-" if each.ratio is None else f"{each.ratio:.2f} \u00d7",
            say.ratio_interval(each),
            ", ".join(f"{one.target:.3f}" for one in each.at) or "-",
            f"{each.reached} of {len(each.seeds)}",
            chip(each.verdict) if each.low is not None else escape(each.reason or "-"),
        ]
        for each in found
    ]
    columns = ("cell", "against", "cost", "ratio", "interval", "at accuracy (by seed)",
               "reaches its best", "verdict")  # fmt: skip
    return table(columns, rows, text=(1, 2))


def equal_costs(comparison: Comparison) -> str:
    """Differences at the largest cost that every run of the two has reached."""
    rows = [
        [
            named(comparison, claim.cell),
            brief_of(comparison, claim.baseline),
            say.amount(claim.cost, claim.axis or ""),
            ranged(say.signed(claim.effect.value), say.interval(claim.effect, signs=True)),
            say.p_short(claim.p_corrected),
            "-" if claim.mde is None else f"{claim.mde:.3f}",
            chip(claim.verdict),
        ]
        for claim in comparison.at_equal_cost
    ]
    return table(
        ("cell", "against", "at", "effect", "p (Holm)", "MDE", "verdict"), rows, text=(1, 2)
    )


def seeds(comparison: Comparison) -> str:
    """The metric after the last round, seed by seed: what the intervals are made of."""
    every = sorted({seed for cell in comparison.cells for seed in cell.seeds})
    rows = []
    for name, points in comparison.curves.items():
        last = points[-1].by_seed
        spread = comparison.levels[name].seed_deviation
        rows.append([
            named(comparison, name),
            *(f"{last[seed][1]:.3f}" if seed in last else "-" for seed in every),
            "unknown" if spread is None else f"{spread:.3f}",
        ])  # fmt: skip
    return table(("cell", *(f"seed {seed}" for seed in every), "between seeds"), rows)


def evidence(comparison: Comparison) -> str:
    """Each claim's p before correction, its bootstrap, and McNemar's counts by seed."""
    rows = []
    for claim in comparison.claims:
        counts = "; ".join(
            f"seed {d.seed}: {d.only_cell} / {d.only_baseline}, {say.p_text(d.p)}"
            for d in claim.discordant
        )
        low, high = claim.bootstrap
        rows.append([
            f"{brief_of(comparison, claim.cell)} against "
            f"{brief_of(comparison, claim.baseline)}",
            f"{say.p_short(claim.p)} ({claim.test})",
            f"{claim.effect.freedom:.1f}",
            f"[{say.signed(low)}, {say.signed(high)}]",
            "-" if claim.effect.seed_deviation is None else f"{claim.effect.seed_deviation:.3f}",
            escape(counts) or "-",
        ])  # fmt: skip
    columns = ("comparison", "p uncorrected", "d.f.", "bootstrap interval", "between seeds",
               "McNemar: only cell / only baseline right")  # fmt: skip
    return table(columns, rows, text=(5,))


def settings(comparison: Comparison) -> str:
    """Every setting that is not the same in all cells."""
    rows: Mapping[str, Mapping[str, str]] = differences(comparison.cells)
    names = [cell.name for cell in comparison.cells if cell.runs]
    if not rows:
        return "<p>None: the cells differ in nothing but the seed.</p>"
    lines = [
        [f"<code>{escape(key)}</code>", *(escape(row[name]) for name in names)]
        for key, row in rows.items()
    ]
    columns = ("setting", *(briefs(names)[name] for name in names))
    return table(columns, lines, text=range(1, len(columns)), kind="settings")


def runs(comparison: Comparison) -> str:
    """Where every number comes from."""
    rows = []
    for cell in comparison.cells:
        for run in cell.runs:
            about = run.environment
            versions: Mapping[str, Any] = about.get("versions", {})
            libraries = ", ".join(f"{n} {versions[n]}" for n in ("torch", "transformers")
                                  if n in versions)  # fmt: skip
            rows.append([
                f"<code>{escape(run.name)}</code>",
                brief_of(comparison, cell.name),
                str(run.seed),
                str(len(run.shared)),
                escape(f"align {about.get('align', '?')}, {libraries}, "
                       f"{about.get('device', '?')}, {about.get('threads', '?')} threads"),
            ])  # fmt: skip
    return table(("run", "cell", "seed", "shared stages", "made with"), rows, text=(1, 4))
