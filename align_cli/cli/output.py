"""Where words for people go: results to stdout, progress and errors to stderr."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text


class Results(Console):
    """Stdout; a reader that stops early (`align list | head`) has seen enough."""

    def on_broken_pipe(self) -> None:
        """Let the command end as any other that has nothing more to say."""
        raise BrokenPipeError


def results() -> Console:
    """What the command was asked for."""
    return Results(highlight=False)


def progress() -> Console:
    """What happens meanwhile; stdout stays clean for pipes."""
    return Console(stderr=True, highlight=False)


def print_error(error: Exception, *, before: str = "") -> None:
    """One red line: where the error is ours to explain, its kind and its message."""
    line = f"{before}{type(error).__name__}: {error}"
    progress().print(Text(line, style="red"), soft_wrap=True)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Strict JSON on stdout, whatever the width of the terminal."""
    sys.stdout.write(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def plain(text: str) -> str:
    """Text that may hold square brackets, for a table."""
    return escape(text)
