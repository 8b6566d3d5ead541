"""An exact study as one HTML page that needs nothing else: no network, no script, light or dark."""

from html import escape

from align_cli import __version__
from align_cli.lab.reading import Figure, Reading, Table
from align_cli.study.exact.compute import Computed
from align_cli.study.exact.file import ExactStudy
from align_cli.study.exact.lines import lines
from align_cli.study.exact.numbers import shown
from align_cli.study.page import STYLE

CHIPS = {"good": "better", "bad": "worse", "even": "inconclusive"}


def page(study: ExactStudy, computed: Computed, reading: Reading) -> str:
    """Claims and figures first, what they show and do not; then tables, settings and cells."""
    question = escape(study.question)
    figures = "".join(f"<section>{_figure(figure)}</section>" for figure in reading.figures)
    return "\n".join((
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{question}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head><body>",
        f"<header><h1>{question}</h1>{_claims(reading)}</header>",
        f'<main><div class="top">{figures}</div>',
        f"<h2>What it shows</h2><p>{escape(reading.shows)}</p>",
        f"<h2>What it does not show</h2><p>{escape(reading.limits)}</p>",
        *(_table(table) for table in reading.tables),
        _table(_settings(study)),
        _table(_cells(computed)),
        "</main>",
        f"<footer>align {escape(__version__)} sweep {escape(study.name)}. Every number of this "
        "page is in <code>claims.json</code> or <code>measurements.csv</code> beside it.</footer>"
        "</body></html>\n",
    ))  # fmt: skip


def _claims(reading: Reading) -> str:
    items = [
        f'<li><span class="chip {CHIPS[claim.tone]}">{escape(claim.verdict)}</span>'
        f"<span>{escape(claim.text)}</span></li>"
        for claim in reading.claims
    ]
    return f'<ul class="verdicts">{"".join(items)}</ul>' if items else ""


def _figure(figure: Figure) -> str:
    bars = f'<p class="aside">Bars: {escape(figure.bars)}.</p>' if figure.bars else ""
    return f"<h2>{escape(figure.title)}</h2>{lines(figure)}{bars}"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(shown(value))}</td>' for value in row)}</tr>"
        for row in table.rows
    )
    return (
        f'<h2>{escape(table.title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _settings(study: ExactStudy) -> Table:
    rows = [(name, str(value)) for name, value in study.as_values()["lab"].items()]
    return Table("Settings", ("setting", "value"), tuple(rows))


def _cells(computed: Computed) -> Table:
    rows = [(each.cell.name, each.seconds, each.stage.fingerprint) for each in computed.done]
    return Table("Cells", ("cell", "seconds of computing", "stage in .store/lab"), tuple(rows))
