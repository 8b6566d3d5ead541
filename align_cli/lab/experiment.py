"""An experiment of the lab: cells that are computed apart, and how their numbers are read."""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from align_cli.errors import RowError
from align_cli.lab.reading import Point, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number that a cell found.

    Example:
        Measurement(quantity="kl", at=4, seed=17, value=0.0117)
    """

    quantity: str
    at: float
    """What it is a function of: the round, the number of pairs, 0 where there is nothing."""
    seed: int | None
    """None where nothing is drawn."""
    value: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.value):
            raise RowError(f"{self.quantity} at {self.at:g}, seed {self.seed}: {self.value}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One computation: a function of plain arguments, the same numbers at every call."""

    name: str
    measure: str
    """Dotted path of the function; it returns measurements."""
    arguments: Mapping[str, Any]
    """Plain values, so that they name the result in the store."""


Results = Mapping[str, Sequence[Measurement]]
"""{cell: its measurements}"""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a study computes, and what its page says of it."""

    cells: tuple[Cell, ...]
    read: Callable[[Results], Reading]


def compute(cell: Cell) -> list[Measurement]:
    """Call the cell's function."""
    module, _, name = cell.measure.rpartition(".")
    found: list[Measurement] = getattr(importlib.import_module(module), name)(**cell.arguments)
    return found


def computed(experiment: Experiment) -> Results:
    """Every cell, here and now, without a store."""
    return {cell.name: compute(cell) for cell in experiment.cells}


def values(rows: Iterable[Measurement], quantity: str, at: float | None = None) -> list[float]:
    """The values of a quantity, at one place or at all."""
    return [r.value for r in rows if r.quantity == quantity and (at is None or r.at == at)]


def only(rows: Iterable[Measurement], quantity: str) -> float:
    """The value of a quantity that a cell measures once."""
    [value] = values(rows, quantity)
    return value


def medians(rows: Sequence[Measurement], quantity: str) -> tuple[Point, ...]:
    """Median over seeds, and the quartiles as its bar, at each place in order."""
    places = sorted({row.at for row in rows if row.quantity == quantity})
    points = []
    for at in places:
        low, middle, high = np.quantile(values(rows, quantity, at), (0.25, 0.5, 0.75))
        points.append(Point(at, float(middle), float(low), float(high)))
    return tuple(points)
