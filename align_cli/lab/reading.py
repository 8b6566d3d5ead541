"""What a study's page holds: claims, tables and figures, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Value = str | int | float | None
Tone = Literal["good", "bad", "even"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence that the numbers bear out or do not."""

    verdict: str
    """A word or two: `holds`, `not reached`."""
    text: str
    tone: Tone
    figures: Mapping[str, Value] = field(default_factory=dict)
    """The numbers that it rests on, by name."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; numbers are shown with three figures and kept in full."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """Of a line: where it is, and how far its bar reaches."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Lines over a common axis."""

    title: str
    x: str
    y: str
    """Names of the axes, with units."""
    lines: Mapping[str, Sequence[Point]]
    log_x: bool = False
    log_y: bool = True
    bars: str = ""
    """What the bars are."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """{name: height} of horizontal lines to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a study has to say."""

    claims: tuple[Claim, ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    shows: str
    """A paragraph: what the numbers show."""
    limits: str
    """A paragraph: what they do not show, and what is a reconstruction."""


def prose(text: str) -> str:
    """A paragraph that is written over several lines."""
    return " ".join(text.split())


def judged(holds: bool, text: str, figures: Mapping[str, Value]) -> Claim:
    """A claim that the theory makes, and whether it came true."""
    if holds:
        return Claim("holds", text, "good", figures)
    return Claim("does not hold", text, "bad", figures)
