"""An exact study on a terminal: the question, the claims, the tables, and what to mind."""

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from align_cli.lab.reading import Reading, Table
from align_cli.study.exact.numbers import shown

STYLES = {"good": "green", "bad": "red", "even": ""}


def print_reading(question: str, reading: Reading, console: Console) -> None:
    """Everything but the figures."""
    console.print(Text(question, style="bold"), soft_wrap=True)
    for claim in reading.claims:
        line = Text(f"{claim.verdict}: ", style=STYLES[claim.tone]).append(claim.text, style="")
        console.print(line, soft_wrap=True)
    console.print()
    for table in reading.tables:
        console.print(grid(table))
        console.print()
    for paragraph in (reading.shows, reading.limits):
        console.print(Text(paragraph))
        console.print()


def grid(table: Table) -> Grid:
    """A table; the first column is text."""
    found = Grid(
        title=table.title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for place, name in enumerate(table.columns):
        found.add_column(name, justify="right" if place else "left", no_wrap=bool(place))
    for row in table.rows:
        found.add_row(*(Text(shown(value)) for value in row))
    return found
