"""Tree search: where it goes on from, what it keeps, and that its budget is a budget."""

from collections import Counter
from math import exp, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import asked
from sampler_settings import settings_of
from step_worlds import STEPS, answer, sampled

from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Draw, Judged
from align_cli.sampler.tree import selected, tree
from align_cli.step_tree import nodes, tree_of


def searched(prompts: list[Any], world: int, **changed: Any) -> tuple[list[Draw], list[Judged]]:
    draws: list[Draw] = []
    seen: list[Judged] = []
    while new := tree(prompts, seen, **settings_of("tree", **changed)):
        counts = Counter(draw.prompt_id for draw in draws)
        for draw in new:
            assert draw.index == counts[draw.prompt_id]
            counts[draw.prompt_id] += 1
            seen.append(sampled(draw, world))
        draws += new
        assert len(draws) < 10_000, "the search never ends"
    return draws, seen


def test_a_tree_is_the_answers_step_by_step() -> None:
    answers = [
        answer(0, 5, 6, right=True),
        answer(1, 5, 7, right=False),
        answer(2, 8, 6, right=None),
        answer(3, 5, 6, right=True),
    ]
    root = tree_of(answers[::-1])
    found = [(n.depth, n.tokens, n.first.index, n.visits, n.value, n.ended) for n in nodes(root)]
    assert found == [
        (0, 0, 0, 3, pytest.approx(2 / 3), False),
        (1, 2, 0, 3, pytest.approx(2 / 3), False),
        (2, 4, 0, 2, 1.0, True),
        (2, 4, 1, 1, 0.0, True),
        (1, 2, 2, 0, None, False),
    ]
    step = root.children[5, 0]
    assert step.prior == pytest.approx(exp(-1.0 / 2**1.25))


def test_an_answer_cut_off_counts_before_its_last_whole_step_only() -> None:
    root = tree_of([answer(0, 5, 6, right=False, finish="length"), answer(1, 5, 7, right=True)])
    [step] = root.children.values()
    assert (step.visits, step.value) == (2, 0.5)
    assert [child.first.index for child in step.children.values()] == [1]


def test_puct_chooses_value_plus_what_is_unexplored() -> None:
    answers = [
        answer(0, 5, 6, right=True),
        *(answer(index, 7, 6, right=index < 3) for index in range(1, 4)),
    ]
    promise = {
        step: value + prior * sqrt(4) / (1 + visits)
        for step, value, prior, visits in [
            (5, 1.0, exp(-1.0 / 2**1.25), 1),
            (7, 2 / 3, exp(-1.0 / 2**1.25), 3),
        ]
    }
    assert promise[5] > promise[7]
    chosen = selected(tree_of(answers), breadth=4, depth=5, exploration=1.0)
    assert chosen is not None
    assert chosen.first.index == 0
    # A step that is better known and worse is left alone until the better one is filled.
    filled = [*answers, *(answer(index, 5, index, right=False) for index in range(4, 7))]
    chosen = selected(tree_of(filled), breadth=4, depth=5, exploration=0.0)
    assert chosen is not None
    assert chosen.first.index == 1
    # Not what ended, nor below the depth, is gone on from.
    assert selected(tree_of(filled), breadth=4, depth=1, exploration=1.0) is None


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 4), first=st.integers(2, 4), more=st.integers(0, 12),
    breadth=st.integers(2, 5), depth=st.integers(1, 4), world=st.integers(0, 99),
    order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_search_holds_its_budget_and_keeps_what_was_sampled(
    count: int, first: int, more: int, breadth: int, depth: int, world: int, order: Any
) -> None:
    chosen: dict[str, Any] = {
        "n": first + more, "first": first, "breadth": breadth, "depth": depth
    }  # fmt: skip
    prompts = [asked(str(number)) for number in range(count)]
    draws, seen = searched(prompts, world, **chosen)
    rows = {(j.completion.prompt_id, j.completion.index): j.completion for j in seen}
    spent = Counter(draw.prompt_id for draw in draws)
    assert all(first <= spent[prompt.id] <= first + more for prompt in prompts)
    for draw in draws:
        assert (draw.prefix is None) == (draw.index < first)
        if draw.prefix is not None:
            whole = rows[draw.prompt_id, draw.prefix.of]
            kept = len(draw.prefix.token_ids)
            assert kept in (whole.step_ends or ())
            assert kept // 2 < min(depth, STEPS)
            assert draw.prefix.token_ids == whole.token_ids[:kept]
            assert draw.prefix.logps == whole.logps[:kept]
    for prompt in prompts:
        mine = [one for one in seen if one.completion.prompt_id == prompt.id]
        left = selected(tree_of(mine), breadth, depth, 1.0)
        # Less than the budget is spent only where nothing is left to go on from.
        assert spent[prompt.id] == first + more or left is None
    shuffled = list(prompts)
    order.shuffle(shuffled)
    again, _ = searched(shuffled, world, **chosen)
    key = lambda draw: (draw.prompt_id, draw.index)  # noqa: E731
    assert sorted(again, key=key) == sorted(draws, key=key)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"first": 9, "n": 8}, "first 9 is above"), ({"step_end": ""}, "step_end is empty")],
)
def test_contradictory_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tree([asked()], [], **settings_of("tree", **changed))


def test_answers_whose_steps_nobody_looked_for_are_refused() -> None:
    with pytest.raises(AlignError, match="does not know its steps"):
        tree_of([answer(0, 5, right=True, step_ends=None)])
