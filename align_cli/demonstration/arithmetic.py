"""Worked sums by a pupil who knows the rule and often forgets to carry."""

import random
from dataclasses import dataclass
from typing import Annotated

from align_cli.arithmetic import (
    LARGEST,
    Problem,
    carries,
    draw_problem,
    forgetful,
    write_solution,
)
from align_cli.errors import ConfigError
from align_cli.rows import Demonstration, Message
from align_cli.seeds import derive

HARD_STEPS = (7, 9)


def arithmetic(
    seed: int,
    *,
    count: Annotated[int, ">= 1", "demonstrations"],
    min_steps: Annotated[int, ">= 1", "steps"],
    max_steps: Annotated[int, ">= 1", "steps"],
    first_max: Annotated[int, "[1, 99]"],
    hard_share: Annotated[float, "[0, 1]"],
    forget: Annotated[float, "[0, 1)"],
    forget_large: Annotated[float, "[0, 1)"],
    large: Annotated[int, "[1, 10]"],
    slip: Annotated[float, "[0, 1)"],
    correction_share: Annotated[float, "[0, 1]"],
    hint: str,
    hint_without_gold: str,
    right_after_hint: Annotated[float, "[0, 1]"],
    right_without_gold: Annotated[float, "[0, 1]"],
) -> list[Demonstration]:
    """Solutions to train problems that are wrong in a systematic way, and corrections of them.

    A step that carries or borrows leaves the tens as they were, seldom where the operand is small
    and mostly where it is large; any step is off by one with probability `slip`; later steps
    build on the result. A policy that imitates this knows the truth without preferring it: its
    greedy answer is wrong wherever a large operand carries, yet every right step is within reach.
    A correction shows the problem, a failed attempt and a hint, in the messages that
    `sampler=pace` sends, and a new solution.

    Settings:
        count: demonstrations; problems repeat, as their solutions differ.
        min_steps, max_steps, first_max: as in the task of the same name.
        hard_share: share of problems with 7-9 steps.
        forget, forget_large: probability that one carry or borrow is forgotten, for operands
            below `large` and from it on; about 0.45 on average.
        slip: probability that one step is off by one besides.
        correction_share: share of corrections; every other one names the answer.
        hint: the user's words when the answer is named, with `{gold}` in its place.
        hint_without_gold: the user's words when it is not.
        right_after_hint, right_without_gold: probability that the new solution is right.
    """
    if min_steps > max_steps:
        raise ConfigError(f"demonstration: min_steps {min_steps} is above max_steps {max_steps}")
    if "{gold}" not in hint:
        raise ConfigError(f"demonstration: hint {hint!r} names no answer; put {{gold}} in it")
    pupil = Pupil(forget=forget, forget_large=forget_large, large=large, slip=slip)
    if correction_share > 0 and not pupil.errs:
        raise ConfigError("demonstration: a pupil who is never wrong has nothing to correct")
    made = []
    for number in range(count):
        stream = random.Random(derive(seed, "demonstration", number))
        span = HARD_STEPS if stream.random() < hard_share else (min_steps, max_steps)
        correction = stream.random() < correction_share
        problem, response = _attempt(stream, pupil, span, first_max, wrong=correction)
        messages: tuple[Message, ...] = (Message("user", problem.text),)
        if correction:
            named = stream.random() < 0.5
            words = hint.replace("{gold}", str(problem.answer)) if named else hint_without_gold
            messages += (Message("assistant", response), Message("user", words))
            right = stream.random() < (right_after_hint if named else right_without_gold)
            response = pupil.solution(stream, problem)
            while is_right(problem, response) != right:
                response = pupil.solution(stream, problem)
        made.append(
            Demonstration(
                id=f"{derive(seed, 'demonstration', number):016x}",
                messages=messages,
                response=response,
                source=f"arithmetic:demonstration:{number}",
            )
        )
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """How likely which mistake is; the settings of `arithmetic` say more."""

    forget: float
    forget_large: float
    large: int
    slip: float

    @property
    def errs(self) -> bool:
        """Whether any mistake can happen; operands are 1..9."""
        return self.slip > 0 or any(
            (self.forget_large if operand >= self.large else self.forget) > 0
            for operand in range(1, 10)
        )

    def solution(self, stream: random.Random, problem: Problem) -> str:
        """A worked solution, right or wrong; a sum that leaves 0..99 is written again."""
        while True:
            results: list[int] = []

            def step(value: int, operand: int, results: list[int] = results) -> int:
                results.append(self._step(stream, value, operand))
                return results[-1]

            solution = write_solution(problem, step)
            if all(0 <= result <= LARGEST for result in results):
                return solution

    def _step(self, stream: random.Random, value: int, operand: int) -> int:
        forget = self.forget_large if abs(operand) >= self.large else self.forget
        forgets = carries(value, operand) and stream.random() < forget
        result = forgetful(value, operand) if forgets else value + operand
        if stream.random() < self.slip:
            result += stream.choice((-1, 1))
        return result


def is_right(problem: Problem, solution: str) -> bool:
    """Whether the final answer is the true one."""
    return solution.endswith(f"#{problem.answer}")


def _attempt(
    stream: random.Random, pupil: Pupil, span: tuple[int, int], first_max: int, *, wrong: bool
) -> tuple[Problem, str]:
    """A problem with the pupil's solution; `wrong` passes over the problems that come out right.

    So problems occur among the corrections as often as they fail, as they do when sampled.
    """
    while True:
        steps = stream.randint(*span)
        problem = draw_problem(stream, steps=steps, first_max=first_max, split="train")
        solution = pupil.solution(stream, problem)
        if not (wrong and is_right(problem, solution)):
            return problem, solution
