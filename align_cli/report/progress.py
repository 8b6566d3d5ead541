"""Live progress: a bar per stage on a terminal, a line per stage elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from align_cli.report.reporter import Reporter


def reporter_for(console: Console) -> Reporter:
    """Bars where they can move, lines where they cannot (a file, a pipe, a dumb terminal)."""
    return Bars(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


class Lines:
    """One line per finished stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title, self._total, self._unit = "", 0, ""
        self._done, self._tokens, self._began = 0, 0, 0.0

    def begin(self, title: str, *, total: int, unit: str) -> None:
        """Remember what is being done."""
        self._title, self._total, self._unit = title, total, unit
        self._done, self._tokens, self._began = 0, 0, time.perf_counter()

    def advance(self, amount: int, tokens: int = 0) -> None:
        """Count."""
        self._done += amount
        self._tokens += tokens

    def end(self, note: str) -> None:
        """Print the line."""
        seconds = time.perf_counter() - self._began
        rate = f", {self._tokens / seconds:,.0f} tokens/s" if self._tokens and seconds else ""
        tail = f" - {note}" if note else ""
        self._console.print(
            f"{self._title}: {self._done} {self._unit} in {seconds:.1f} s{rate}{tail}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def say(self, line: str) -> None:
        """Print it."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class Bars(Lines):
    """The same, with a bar while the work goes on."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, title: str, *, total: int, unit: str) -> None:
        """Show a bar."""
        self._close()
        super().begin(title, total=total, unit=unit)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task(title, total=total, unit=unit, rate="")
        self._progress.start()

    def advance(self, amount: int, tokens: int = 0) -> None:
        """Move the bar."""
        super().advance(amount, tokens)
        if self._progress is not None and self._task is not None:
            seconds = time.perf_counter() - self._began
            rate = f"{self._tokens / seconds:,.0f} tokens/s" if self._tokens and seconds else ""
            self._progress.update(self._task, advance=amount, rate=rate)

    def end(self, note: str) -> None:
        """Replace the bar by the line."""
        self._close()
        super().end(note)

    def say(self, line: str) -> None:
        """Print it above the bar."""
        super().say(line)

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None
