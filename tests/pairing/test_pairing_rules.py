"""Each rule on tables written out, and what all rules hold to."""

import math
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_rows import PROMPT, judged

from align_cli.errors import AlignError, RowError
from align_cli.pairing.best_worst import best_worst
from align_cli.pairing.first_right_first_wrong import first_right_first_wrong
from align_cli.pairing.random import random
from align_cli.rows import Judged
from align_cli.training_rows import Pair

Rule = Callable[[list[Judged]], list[Pair]]
RULES: dict[str, Rule] = {
    "natural": partial(first_right_first_wrong, prefer="natural"),
    "corrected": partial(first_right_first_wrong, prefer="corrected"),
    "best_worst": best_worst,
    "random": partial(random, seed=7),
}


def siblings(*rights: bool) -> list[Judged]:
    return [judged(index, right) for index, right in enumerate(rights)]


def key(pairs: list[Pair]) -> list[tuple[int, int]]:
    return [(pair.chosen, pair.rejected) for pair in pairs]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("rights", [(), (True,), (False,), (True, True), (False,) * 3])
def test_no_contrast_no_pair(rule: Rule, rights: tuple[bool, ...]):
    assert rule(siblings(*rights)) == []


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@given(rights=st.lists(st.booleans(), max_size=6), order=st.randoms(use_true_random=False))
def test_right_over_wrong_whatever_the_order_of_rows(rule: Rule, rights: list[bool], order):
    rows = siblings(*rights)
    pairs = rule(rows)
    assert len(pairs) == (len(set(rights)) == 2)
    for pair in pairs:
        assert rights[pair.chosen]
        assert not rights[pair.rejected]
        assert (pair.prompt_id, pair.margin, pair.kind) == (PROMPT, 1.0, "natural")
    order.shuffle(rows)
    assert rule(rows) == pairs


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_unscored_sibling_is_an_error(rule: Rule):
    with pytest.raises(RowError, match=r"/1 is unscored \(timeout"):
        rule([judged(0, True), judged(1, None), judged(2, False)])


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_siblings_are_of_one_prompt(rule: Rule):
    with pytest.raises(RowError, match="several prompts"):
        rule([judged(0, True), judged(1, False, prompt_id="other")])


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        ((True, False), [(0, 1)]),
        ((False, True), [(1, 0)]),
        ((False, False, True, True), [(2, 0)]),
        ((True, True, False, False), [(0, 2)]),
    ],
)
def test_first_right_over_first_wrong(rights: tuple[bool, ...], expected: list[tuple[int, int]]):
    assert key(RULES["natural"](siblings(*rights))) == expected
    assert key(RULES["corrected"](siblings(*rights))) == expected


def test_a_correction_is_paired_with_the_attempt_it_corrects():
    rows = [*siblings(False, False), judged(2, True, corrects=1)]
    (pair,) = RULES["natural"](rows)
    assert (pair.chosen, pair.rejected, pair.kind) == (2, 1, "corrected")


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [("natural", (0, 1, "natural")), ("corrected", (3, 2, "corrected"))],
)
def test_prefer_says_which_right_one_is_chosen(prefer: str, expected: tuple[int, int, str]):
    rows = [*siblings(True, False, False), judged(3, True, corrects=2)]
    (pair,) = RULES[prefer](rows)
    assert (pair.chosen, pair.rejected, pair.kind) == expected


def test_a_correction_without_its_attempt_is_an_error():
    with pytest.raises(RowError, match="corrects attempt 1, which is not among"):
        RULES["natural"]([judged(0, False), judged(2, True, corrects=1)])


@pytest.mark.parametrize("prefer", ["natural", "corrected"])
def test_grades_alone_are_no_right_and_wrong(prefer: str):
    with pytest.raises(AlignError, match="pairing=best_worst"):
        RULES[prefer]([judged(0, None, score=0.2), judged(1, None, score=0.9)])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.2, 0.9, 0.1], [(1, 2)]),
        ([1.0, 0.0, 1.0, 0.0], [(0, 1)]),
        ([0.0, 1.0, 0.0, 1.0], [(1, 0)]),
        ([-1.0, -0.5], [(1, 0)]),
        ([0.5, 0.5], []),
    ],
)
def test_best_worst_takes_the_first_of_equals(scores: list[float], expected: list):
    rows = [judged(index, None, score=score) for index, score in enumerate(scores)]
    pairs = best_worst(rows)
    assert key(pairs) == expected
    assert [pair.margin for pair in pairs] == [max(scores) - min(scores)] * len(expected)


def test_best_worst_says_that_a_correction_was_chosen():
    (pair,) = best_worst([*siblings(False, False), judged(2, True, corrects=1)])
    assert (pair.chosen, pair.rejected, pair.kind) == (2, 0, "corrected")


def test_random_is_uniform_over_contrasts_and_a_function_of_the_seed():
    rows = [judged(index, None, score=score) for index, score in enumerate([0.0, 1.0, 1.0, 2.0])]
    contrasts = [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2)]
    draws = 4000
    seen = Counter(key(random(rows, seed))[0] for seed in range(draws))
    assert set(seen) == set(contrasts)
    expected, sigma = draws / 5, math.sqrt(draws * 0.2 * 0.8)
    assert all(abs(count - expected) < 4 * sigma for count in seen.values())
    assert random(rows, 2**64 - 1) == random(rows, 2**64 - 1)
