"""A comparison as one HTML page that needs nothing else: no network, no script, light or dark."""

from collections import defaultdict
from collections.abc import Mapping
from html import escape
from pathlib import Path

from align_cli import __version__
from align_cli.study import page_tables as tables
from align_cli.study import sentences as say
from align_cli.study.cells import briefs
from align_cli.study.comparison import Comparison
from align_cli.study.drawing import curves

STYLE = Path(__file__).with_name("page.css")
FEW = 6
"""Verdicts that a reader takes in one by one."""


def page(comparison: Comparison) -> str:
    """Question, verdicts, curves and tables first; then what they rest on."""
    question = escape(comparison.wanted.question)
    # Few comparisons fit beside the curves; of many, half go under them.
    equal = _at_equal_cost(comparison)
    below, beside = (equal, "") if len(comparison.claims) > FEW // 2 else ("", equal)
    return "\n".join((
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{question}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head><body>",
        f"<header><h1>{question}</h1>{_verdicts(comparison)}</header>",
        f'<main><div class="top"><section>{_charts(comparison)}{below}</section>',
        f'<section class="right">{_results(comparison)}{beside}</section></div>',
        _notes(comparison),
        _more(comparison),
        "</main>",
        f"<footer>align {escape(__version__)} compare. Every number of this page is in "
        "<code>claims.json</code> and <code>curves.csv</code> beside it.</footer></body></html>\n",
    ))  # fmt: skip


def _verdicts(comparison: Comparison) -> str:
    names = briefs([cell.name for cell in comparison.cells])
    said: list[tuple[str, str]] = [
        (claim.verdict, say.claim_sentence(claim, names)) for claim in comparison.claims
    ]
    said += [
        (ratio.verdict, say.ratio_sentence(ratio, names))
        for ratio in comparison.ratios
        if ratio.axis == comparison.wanted.axis and ratio.ratio is not None
    ]
    lines = [f"<li>{tables.chip(v)}<span>{escape(text)}</span></li>" for v, text in said]
    if len(lines) > FEW:
        lines = _grouped(comparison, names)
    return f'<ul class="verdicts">{"".join(lines)}</ul>' if lines else ""


def _grouped(comparison: Comparison, names: Mapping[str, str]) -> list[str]:
    """A line for each verdict, with the cells it is about; the tables have the numbers."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for claim in comparison.claims:
        groups["after the last round", claim.verdict].append(names[claim.cell])
    axis = comparison.wanted.axis
    for ratio in comparison.ratios:
        if ratio.axis == axis and ratio.ratio is not None:
            text = f"{names[ratio.cell]} {ratio.ratio:.2f}\u00d7"
            groups[f"{say.AXES[axis]} for equal accuracy", ratio.verdict].append(text)
    baselines = dict.fromkeys(names[claim.baseline] for claim in comparison.claims)
    against = f"<li>against {escape(', '.join(baselines))}</li>"
    return [against] + [
        f"<li>{tables.chip(verdict)}<span>{when}: {escape(', '.join(cells))}</span></li>"
        for (when, verdict), cells in groups.items()
    ]


def _charts(comparison: Comparison) -> str:
    """One chart for each axis of cost; buttons without a script choose."""
    first = comparison.wanted.axis
    axes = [first, *(axis for axis in say.AXES if axis != first)]
    buttons, tabs, views = [], [], []
    for number, axis in enumerate(axes):
        checked = " checked" if number == 0 else ""
        label = escape(f"against {say.AXES[axis]}", quote=True)
        buttons.append(
            f'<input class="axis" type="radio" name="axis" id="axis{number}" '
            f'aria-label="{label}"{checked}>'
        )
        tabs.append(f'<label for="axis{number}">{say.AXES[axis]}</label>')
        drawn = curves(comparison.curves, axis, comparison.metric.name)
        views.append(f'<div class="view view{number}">{drawn}</div>')
    several = any(len(cell.runs) > 1 for cell in comparison.cells)
    thin = "Thin lines: seeds. " if several else ""
    title = f"<h2>{escape(comparison.metric.name)} by cost <small>mean over seeds</small></h2>"
    return (
        f'{title}{"".join(buttons)}<div class="tabs">{"".join(tabs)}</div>{"".join(views)}'
        f'<p class="aside">{thin}Bars: {comparison.wanted.rule.level:.0%} intervals of the mean, '
        "over seeds and prompts; for differences they are too wide, since prompts are paired.</p>"
    )


def _results(comparison: Comparison) -> str:
    parts = [f"<h2>Cells <small>after the last round</small></h2>{tables.cells(comparison)}"]
    if comparison.claims:
        parts.append("<h2>Differences <small>after the last round</small></h2>")
        parts.append(tables.claims(comparison, comparison.claims))
    return "".join(parts)


def _at_equal_cost(comparison: Comparison) -> str:
    axis = comparison.wanted.axis
    here = [claim for claim in comparison.at_equal_cost if claim.axis == axis]
    if not here:
        return ""
    title = f"<h2>At equal cost <small>in {say.AXES[axis]}</small></h2>"
    return title + tables.claims(comparison, here)


def _notes(comparison: Comparison) -> str:
    dropped = comparison.items_dropped
    items = f"{comparison.items} held-out prompts, each compared with itself"
    items += f"; {dropped} dropped for want of a judged answer" if dropped else ""
    lines = [*comparison.notes, items, say.method(comparison)]
    return '<div class="notes">' + "".join(f"<p>{escape(line)}.</p>" for line in lines) + "</div>"


def _more(comparison: Comparison) -> str:
    shared = say.shared_count(comparison)
    parts = []
    if comparison.ratios:
        parts += ["<h2>Cost at equal accuracy <small>at the highest that both reach, or at the "
                  "target that was asked for</small></h2>",
                  tables.ratios(comparison, comparison.ratios)]  # fmt: skip
    if comparison.at_equal_cost:
        parts += ["<h2>Accuracy at equal cost</h2>", tables.equal_costs(comparison)]
    parts += [
        f'<p class="aside">{escape(say.COST_RULE)} ({shared} here). {escape(say.CURVE_RULE)}.</p>',
        "<h2>Seed by seed</h2>",
        tables.seeds(comparison),
    ]
    if comparison.claims:
        parts += ["<h2>What the differences rest on</h2>", tables.evidence(comparison)]
    parts += [
        "<h2>Settings that differ</h2>",
        tables.settings(comparison),
        "<h2>Runs</h2>",
        tables.runs(comparison),
    ]
    return "".join(parts)
