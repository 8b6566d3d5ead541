"""The bundled world's language: chained sums, their written solutions, one way to get them wrong.

    problem   7+8-3                  operands 1..9, the first 1..first_max; every result 0..99
    solution  7+8=15;15-3=12#12      one step per operator, then `#` and the answer

The misconception: where a step carries or borrows, the tens digit is left as it was
(`7+8=5`, `23-8=25`). Everything after builds on the wrong result, as a pupil's would.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

LARGEST = 99
"""Largest intermediate result; results are never negative either."""
HELDOUT_SHARE = 5
"""One problem in this many is held out."""

Split = Literal["train", "heldout"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A chained sum: `first`, then one signed operand per step."""

    first: int
    operands: tuple[int, ...]

    @property
    def text(self) -> str:
        """As it is asked, e.g. `7+8-3`."""
        return f"{self.first}" + "".join(f"{operand:+d}" for operand in self.operands)

    @property
    def steps(self) -> int:
        """How many operators it has."""
        return len(self.operands)

    @property
    def answer(self) -> int:
        """The true value."""
        return self.first + sum(self.operands)

    @property
    def split(self) -> Split:
        """Which side it is on, from its text alone: no run can train on a held-out problem."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return "heldout" if digest[0] % HELDOUT_SHARE == 0 else "train"


def draw_problem(stream: random.Random, *, steps: int, first_max: int, split: Split) -> Problem:
    """A random problem of that many steps on that side; every step's result is 0..99."""
    while True:
        value = first = stream.randint(1, first_max)
        operands = []
        for _ in range(steps):
            signed = [o for o in range(-9, 10) if o != 0 and 0 <= value + o <= LARGEST]
            operands.append(stream.choice(signed))
            value += operands[-1]
        problem = Problem(first, tuple(operands))
        if problem.split == split:
            return problem


def carries(value: int, operand: int) -> bool:
    """Whether value + operand (operand may be negative) changes the tens by a carry or borrow."""
    return not 0 <= value % 10 + operand <= 9


def forgetful(value: int, operand: int) -> int:
    """value + operand with the carry or borrow forgotten: the tens digit stays as it was."""
    return value - value % 10 + (value + operand) % 10


def write_solution(problem: Problem, step: Callable[[int, int], int]) -> str:
    """The worked solution where `step(value, operand)` says what each step comes to."""
    value = problem.first
    written = []
    for operand in problem.operands:
        result = step(value, operand)
        written.append(f"{value}{operand:+d}={result}")
        value = result
    return ";".join(written) + f"#{value}"


def true_step(value: int, operand: int) -> int:
    """value + operand as it is."""
    return value + operand
