"""Worked sums by a pupil who knows the rule and often forgets to carry."""

import random
from typing import Annotated

from align_cli.arithmetic import (
    LARGEST,
    Problem,
    carries,
    draw_problem,
    forgetful,
    true_step,
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
    slip: Annotated[float, "[0, 1)"],
    correction_share: Annotated[float, "[0, 1]"],
    hint: str,
    hint_without_gold: str,
    right_after_hint: Annotated[float, "[0, 1]"],
    right_without_gold: Annotated[float, "[0, 1]"],
) -> list[Demonstration]:
    """Solutions to train problems that are wrong in a systematic way, and corrections of them.

    A step that carries or borrows leaves the tens as they were with probability `forget`; any
    step is off by one with probability `slip`; later steps build on the result. A policy that
    imitates this knows the truth without preferring it. A correction shows the problem, a failed
    attempt and a hint, in the messages that `sampler=pace` sends, and a new solution.

    Settings:
        count: demonstrations; problems repeat, as their solutions differ.
        min_steps, max_steps, first_max: as in the task of the same name.
        hard_share: share of problems with 7-9 steps.
        forget: probability that one carry or borrow is forgotten.
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
    made = []
    for number in range(count):
        stream = random.Random(derive(seed, "demonstration", number))
        span = HARD_STEPS if stream.random() < hard_share else (min_steps, max_steps)
        problem = draw_problem(
            stream, steps=stream.randint(*span), first_max=first_max, split="train"
        )
        messages: tuple[Message, ...] = (Message("user", problem.text),)
        if stream.random() < correction_share:
            named = stream.random() < 0.5
            attempt = _pupil(stream, problem, forget=forget, slip=slip, right=False)
            words = hint.replace("{gold}", str(problem.answer)) if named else hint_without_gold
            messages += (Message("assistant", attempt), Message("user", words))
            share = right_after_hint if named else right_without_gold
            right = stream.random() < share
            response = _pupil(stream, problem, forget=forget, slip=slip, right=right)
        else:
            response = _pupil(stream, problem, forget=forget, slip=slip, right=None)
        made.append(
            Demonstration(
                id=f"{derive(seed, 'demonstration', number):016x}",
                messages=messages,
                response=response,
                source=f"arithmetic:demonstration:{number}",
            )
        )
    return made


def _pupil(
    stream: random.Random, problem: Problem, *, forget: float, slip: float, right: bool | None
) -> str:
    """A solution as the pupil writes it; `right` asks for a right or wrong one, None for any."""
    if right:
        return write_solution(problem, true_step)
    while True:
        in_range = True

        def step(value: int, operand: int) -> int:
            nonlocal in_range
            result = value + operand
            if carries(value, operand) and stream.random() < forget:
                result = forgetful(value, operand)
            if stream.random() < slip:
                result += stream.choice((-1, 1))
            in_range = in_range and 0 <= result <= LARGEST
            return result

        solution = write_solution(problem, step)
        wrong = not solution.endswith(f"#{problem.answer}")
        # A sum that leaves 0..99 is written again: no demonstration shows a negative number.
        if in_range and (right is None or wrong):
            return solution
        if right is False and forget == 0.0 == slip:
            raise ConfigError("demonstration: forget and slip are 0, so nothing can be corrected")
