"""Chained small-integer sums: the task that needs no download."""

import random
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Annotated

from align_cli.arithmetic import Problem, Split, draw_problem
from align_cli.errors import ConfigError
from align_cli.rows import Message, Prompt, prompt_id
from align_cli.seeds import derive

HARD_STEPS = (7, 8, 9)
PATIENCE = 2000
"""Draws without one unseen problem before the space of problems is called used up."""


def arithmetic(
    split: Split,
    round_number: int,
    seed: int,
    *,
    prompts_per_round: Annotated[int, ">= 1", "prompts"],
    heldout_prompts: Annotated[int, ">= 1", "prompts"],
    min_steps: Annotated[int, ">= 1", "steps"],
    max_steps: Annotated[int, ">= 1", "steps"],
    first_max: Annotated[int, "[1, 99]"],
    hard_share: Annotated[float, "[0, 1]"] = 0.0,
) -> list[Prompt]:
    """Sums such as `7+8-3`, gold `12`, to be solved step by step: `7+8=15;15-3=12#12`.

    Operands are 1..9, the first 1..first_max, every intermediate result 0..99. A hash of the
    problem's text decides whether it is held out (one in five), so train and held-out problems
    are disjoint, whatever the seeds. The held-out set depends on the settings only: runs of all
    seeds are scored on the same prompts. No problem occurs twice in one set; steps are balanced.

    Settings:
        prompts_per_round, heldout_prompts: set sizes [prompts].
        min_steps, max_steps: operators per problem; the strata are `2 steps`, `3 steps`, ...
        first_max: largest first operand; more problems carry or borrow as it grows.
        hard_share: share of problems with 7-9 steps, beyond the bundled policy's reach.
    """
    if min_steps > max_steps:
        raise ConfigError(f"task: min_steps {min_steps} is above max_steps {max_steps}")
    if split == "train":
        count, key = prompts_per_round, derive(seed, "arithmetic", split, round_number)
    else:
        count, key = heldout_prompts, derive("arithmetic", split)
    stream = random.Random(key)
    hard = round(hard_share * count)
    easy_steps = islice(cycle(range(min_steps, max_steps + 1)), count - hard)
    wanted = [*easy_steps, *islice(cycle(HARD_STEPS), hard)]
    stream.shuffle(wanted)
    problems = _distinct(stream, wanted, first_max=first_max, split=split)
    return [_prompt(problem, f"arithmetic:{split}:{i}") for i, problem in enumerate(problems)]


def _distinct(
    stream: random.Random, wanted: list[int], *, first_max: int, split: Split
) -> Iterator[Problem]:
    """One problem per entry of `wanted`, of that many steps, none of them twice."""
    seen: set[Problem] = set()
    for steps in wanted:
        for _ in range(PATIENCE):
            problem = draw_problem(stream, steps=steps, first_max=first_max, split=split)
            if problem not in seen:
                break
        else:
            raise ConfigError(
                f"task: hardly a {split} problem of {steps} steps is left after {len(seen)} "
                "problems; ask for fewer prompts, more steps or a larger first_max"
            )
        seen.add(problem)
        yield problem


def _prompt(problem: Problem, source: str) -> Prompt:
    messages = (Message("user", problem.text),)
    return Prompt(
        id=prompt_id(messages),
        messages=messages,
        gold=str(problem.answer),
        source=source,
        stratum=f"{problem.steps} steps" if problem.steps != 1 else "1 step",
    )
