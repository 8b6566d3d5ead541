"""An exact study on a terminal: the question, the claims, the tables, and what to mind."""

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from align_cli.lab.reading import Reading, Table
from align_cli.study.exact.numbers import shown

FIRST = 16
"""Letters of the first column that are not broken."""
STYLES = {"good": "green", "bad": "red", "even": ""}


def print_reading(question: str, reading: Reading, console: Console) -> None:
    """Everything but the figures."""
    console.print(Text(question, style="bold"), soft_wrap=True)
    for claim in reading.claims:
        line = Text(f"{claim.verdict}: ", style=STYLES[claim.tone]).append(claim.text, style="")
        console.print(line, soft_wrap=True)
    console.print()
    for table in reading.tables:
        console.print(Text(table.title, style="italic"), soft_wrap=True)
        # A table that is too wide runs over the edge: a cut number would be another number.
        console.print(grid(table), crop=False)
        console.print()
    for paragraph in (reading.shows, reading.limits):
        console.print(Text(paragraph))
        console.print()


def grid(table: Table) -> Grid:
    """A table; the first column says what a row is, and long headings are broken."""
    found = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    rows = [[shown(value) for value in row] for row in table.rows]
    for place, name in enumerate(table.columns):
        widest = max(map(len, [*name.split(), *(row[place] for row in rows)]))
        found.add_column(
            Text(name), justify="right" if place else "left", vertical="bottom",
            min_width=min(widest, FIRST if not place else widest),
        )  # fmt: skip
    for row in rows:
        found.add_row(*map(Text, row))
    return found
