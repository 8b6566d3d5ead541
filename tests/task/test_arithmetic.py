"""The bundled task: problems are what they say, balanced, distinct, and never cross the split."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.arithmetic import (
    Problem,
    carries,
    draw_problem,
    forgetful,
    true_step,
    write_solution,
)
from align_cli.config.compose import composed_node
from align_cli.errors import ConfigError
from align_cli.rows import Prompt
from align_cli.task.arithmetic import arithmetic


def settings(**changes: float) -> dict[str, float]:
    node = composed_node("task", "arithmetic")
    node.pop("_target_")
    return {**node, "prompts_per_round": 90, "heldout_prompts": 90, **changes}


def value(text: str) -> int:
    return sum(int(term) for term in re.findall(r"[+-]?\d+", text))


def running(text: str) -> list[int]:
    terms = [int(term) for term in re.findall(r"[+-]?\d+", text)]
    return [sum(terms[: end + 1]) for end in range(len(terms))]


def check(prompt: Prompt) -> None:
    text = prompt.messages[0].content
    assert re.fullmatch(r"\d{1,2}([+-][1-9])+", text)
    assert prompt.gold == str(value(text))
    assert all(0 <= result <= 99 for result in running(text))
    assert prompt.stratum == f"{len(running(text)) - 1} steps"


def test_problems_are_sums_with_their_answer_balanced_by_steps() -> None:
    prompts = arithmetic("train", 0, 0, **settings())
    for prompt in prompts:
        check(prompt)
    strata = [prompt.stratum for prompt in prompts]
    assert {s: strata.count(s) for s in strata} == {"2 steps": 30, "3 steps": 30, "4 steps": 30}
    assert len({prompt.id for prompt in prompts}) == 90
    # Difficulty is not laid out in blocks.
    assert strata[:30] != ["2 steps"] * 30


def test_heldout_problems_are_the_same_for_every_seed_and_never_trained_on() -> None:
    heldout = arithmetic("heldout", 0, 0, **settings())
    assert heldout == arithmetic("heldout", 0, 7, **settings())
    rounds = [arithmetic("train", n, seed, **settings()) for n in range(3) for seed in range(3)]
    trained = [prompt.id for prompts in rounds for prompt in prompts]
    assert not {prompt.id for prompt in heldout} & set(trained)
    assert rounds[0] == arithmetic("train", 0, 0, **settings())
    assert rounds[0] != rounds[1]
    # Rounds are fresh, though a problem of few steps may come back.
    assert len(set(trained)) > 0.8 * len(trained)


@given(steps=st.integers(1, 9), first_max=st.integers(1, 99), seed=st.integers(0, 99))
def test_the_side_of_a_problem_is_a_property_of_its_text(
    steps: int, first_max: int, seed: int
) -> None:
    for split in ("train", "heldout"):
        problem = draw_problem(random.Random(seed), steps=steps, first_max=first_max, split=split)
        assert Problem(problem.first, problem.operands).split == split
        assert problem.steps == steps
        assert problem.first <= first_max
        assert problem.answer == value(problem.text)


def test_hard_problems_are_a_share() -> None:
    prompts = arithmetic("train", 0, 0, **settings(hard_share=0.4))
    strata = [prompt.stratum for prompt in prompts]
    assert {s: strata.count(s) for s in strata} == {
        **{f"{n} steps": 18 for n in (2, 3, 4)},
        **{f"{n} steps": 12 for n in (7, 8, 9)},
    }
    for prompt in prompts:
        check(prompt)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="min_steps 4 is above max_steps 2"):
        arithmetic("train", 0, 0, **settings(min_steps=4, max_steps=2))
    with pytest.raises(ConfigError, match="hardly a heldout problem of 1 steps is left"):
        arithmetic("heldout", 0, 0, **settings(min_steps=1, max_steps=1, first_max=5))


def test_the_written_solution_and_the_misconception() -> None:
    problem = Problem(7, (8, -3))
    assert problem.text == "7+8-3"
    assert write_solution(problem, true_step) == "7+8=15;15-3=12#12"
    assert write_solution(problem, forgetful) == "7+8=5;5-3=2#2"
    assert write_solution(Problem(23, (-8,)), forgetful) == "23-8=25#25"


@given(before=st.integers(0, 90), operand=st.integers(-9, 9).filter(bool))
def test_forgetting_is_an_error_exactly_where_something_is_carried(
    before: int, operand: int
) -> None:
    wrong = forgetful(before, operand) != before + operand
    assert wrong == carries(before, operand)
    assert forgetful(before, operand) // 10 == before // 10
    assert (forgetful(before, operand) - before - operand) % 10 == 0
