"""The other rules: which pairs of a written-out table they make, and what all of them hold to."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import judged

from align_cli.errors import AlignError, RowError
from align_cli.pairing.all_right_wrong import all_right_wrong
from align_cli.pairing.best_against_other import best_against_other
from align_cli.pairing.best_worst import best_worst
from align_cli.pairing.closest_margin import closest_margin
from align_cli.pairing.k_pairs import k_pairs
from align_cli.pairing.length_penalised import length_penalised
from align_cli.pairing.max_max import max_max
from align_cli.pairing.max_random import max_random
from align_cli.pairing.one_kind import one_kind
from align_cli.pairing.proximal import edit_distance, proximal
from align_cli.pairing.random import random
from align_cli.rows import Author, Judged
from align_cli.training_rows import Pair

RULES: dict[str, Callable[[list[Judged]], Any]] = {
    "all_right_wrong": all_right_wrong,
    "by_author": partial(best_against_other, by="author", other="first"),
    "by_kind": partial(best_against_other, by="kind", other="best"),
    "closest_margin": partial(closest_margin, least_margin=0.0),
    "corrected_only": partial(one_kind, kind="corrected"),
    "k_pairs": partial(k_pairs, seed=7, k=3, disjoint=False),
    "disjoint": partial(k_pairs, seed=7, k=3, disjoint=True),
    "length_penalised": partial(length_penalised, penalty=0.01),
    "max_max": max_max,
    "max_random": partial(max_random, seed=7),
    "natural_only": partial(one_kind, kind="natural"),
    "proximal": partial(proximal, normalised=True),
    "ties_first": partial(best_worst, seed=7, ties="first"),
    "ties_random": partial(best_worst, seed=7, ties="random"),
    "ties_shorter": partial(best_worst, seed=7, ties="shorter"),
}
MAKES_TIES = {"ties_first", "ties_random", "ties_shorter"}


def graded(*scores: float) -> list[Judged]:
    return [judged(index, None, score=score) for index, score in enumerate(scores)]


def tokens(one: Judged, *ids: int) -> Judged:
    logps = (-0.5,) * len(ids)
    return replace(one, completion=replace(one.completion, token_ids=ids, logps=logps))


def by(one: Judged, author: Author) -> Judged:
    return replace(one, completion=replace(one.completion, author=author))


def key(pairs: list[Pair] | str) -> list[tuple[int, int]]:
    assert not isinstance(pairs, str), pairs
    return [(pair.chosen, pair.rejected) for pair in pairs]


@pytest.mark.parametrize("name", RULES)
@settings(deadline=None, max_examples=40)
@given(
    rights=st.lists(st.booleans(), max_size=5),
    corrections=st.lists(st.booleans(), max_size=2),
    order=st.randoms(use_true_random=False),
)
def test_better_over_worse_whatever_the_order_of_rows(
    name: str, rights: list[bool], corrections: list[bool], order: Any
) -> None:
    rule = RULES[name]
    rows = [judged(i, right, length=2 + i) for i, right in enumerate(rights)]
    if rows:
        rows[-1] = by(rows[-1], "reference")
    wrongs = [index for index, right in enumerate(rights) if not right]
    for wrong, corrected in zip(wrongs, corrections, strict=False):
        rows.append(judged(len(rows), corrected, corrects=wrong))
    scores = {one.completion.index: one.label.score for one in rows}
    made = rule(rows)
    for pair in made if isinstance(made, list) else []:
        assert pair.margin == scores[pair.chosen] - scores[pair.rejected]
        assert pair.tied == (pair.margin == 0)
        assert name in MAKES_TIES or not pair.tied
        assert pair.kind == rows[pair.chosen].completion.kind
    order.shuffle(rows)
    assert rule(rows) == made


@pytest.mark.parametrize("name", RULES)
def test_an_empty_group_and_one_answer_give_nothing(name: str) -> None:
    for rows in ([], [judged(0, True)], [judged(0, False)]):
        made = RULES[name](rows)
        assert isinstance(made, str) or made == []


@pytest.mark.parametrize("name", RULES)
def test_the_unscored_and_strangers_are_errors(name: str) -> None:
    with pytest.raises(RowError, match=r"/1 is unscored \(timeout"):
        RULES[name]([judged(0, True), judged(1, None), judged(2, False)])
    with pytest.raises(RowError, match="several prompts"):
        RULES[name]([judged(0, True), judged(1, False, prompt_id="other")])


def test_max_max_takes_the_next_lower_score() -> None:
    assert key(max_max(graded(0.1, 0.9, 0.9, 0.7, 0.7))) == [(1, 3)]
    assert max_max(graded(0.5, 0.5)) == []


def test_max_random_draws_every_lower_one_alike_and_no_equal() -> None:
    rows = graded(0.0, 1.0, 0.5, 1.0)
    seen = Counter(key(max_random(rows, seed))[0] for seed in range(1000))
    assert set(seen) == {(1, 0), (1, 2)}
    assert abs(seen[1, 0] - 500) < 4 * 16


@pytest.mark.parametrize(
    ("least", "expected"), [(0.0, [(1, 2)]), (0.25, [(2, 0)]), (0.35, [(1, 0)]), (0.5, None)]
)
def test_closest_margin_is_the_smallest_gap_that_counts(least: float, expected: Any) -> None:
    made = closest_margin(graded(0.5, 0.875, 0.75), least_margin=least)
    assert made == "margin_too_small" if expected is None else key(made) == expected


@pytest.mark.parametrize(
    ("penalty", "expected"), [(0.0, [(0, 2)]), (0.05, [(1, 2)]), (0.2, [(1, 2)]), (2.0, [(1, 2)])]
)
def test_a_price_on_length_moves_the_extremes(penalty: float, expected: list[Any]) -> None:
    rows = [
        judged(0, None, score=1.0, length=20),
        judged(1, None, score=0.9, length=4),
        judged(2, None, score=0.0, length=10),
    ]
    assert key(length_penalised(rows, penalty=penalty)) == expected


def test_a_price_on_length_turns_no_preference_round() -> None:
    rows = [judged(0, True, length=30), judged(1, False, length=3)]
    assert key(length_penalised(rows, penalty=0.01)) == [(0, 1)]
    assert length_penalised(rows, penalty=0.1) == []


def test_all_right_wrong_are_all() -> None:
    rows = [judged(i, right) for i, right in enumerate([True, False, True, False])]
    assert key(all_right_wrong(rows)) == [(0, 1), (0, 3), (2, 1), (2, 3)]


@pytest.mark.parametrize("name", ["all_right_wrong", "natural_only", "corrected_only"])
def test_grades_alone_are_no_right_and_wrong(name: str) -> None:
    with pytest.raises(AlignError, match="pairing=best_worst"):
        RULES[name](graded(0.2, 0.9))


def test_k_pairs_are_k_different_ones_or_all() -> None:
    rows = graded(0.0, 1.0, 2.0)
    everything = {(1, 0), (2, 0), (2, 1)}
    assert set(key(k_pairs(rows, 3, k=9, disjoint=False))) == everything
    draws = [key(k_pairs(rows, seed, k=2, disjoint=False)) for seed in range(600)]
    assert all(len(set(pairs)) == 2 for pairs in draws)
    seen = Counter(pair for pairs in draws for pair in pairs)
    assert all(abs(seen[pair] - 400) < 60 for pair in everything)
    assert k_pairs(rows, 5, k=1, disjoint=False) == random(rows, 5)


def test_disjoint_pairs_share_no_answer() -> None:
    rows = [judged(i, i < 3) for i in range(6)]
    for seed in range(20):
        pairs = k_pairs(rows, seed, k=9, disjoint=True)
        assert sorted(index for pair in key(pairs) for index in pair) == [0, 1, 2, 3, 4, 5]


def test_one_kind_alone() -> None:
    rows = [judged(0, True), judged(1, False), judged(2, False), judged(3, True, corrects=2)]
    assert key(one_kind(rows, kind="natural")) == [(0, 1)]
    made = one_kind(rows, kind="corrected")
    assert not isinstance(made, str)
    (pair,) = made
    assert (pair.chosen, pair.rejected, pair.kind) == (3, 2, "corrected")
    assert one_kind(rows[:3], kind="corrected") == "no_correction"
    assert one_kind(rows[1:], kind="natural") == []


def test_the_best_attempt_against_the_best_correction() -> None:
    rows = [
        *graded(0.2, 0.6),
        *(judged(i, None, score=s, corrects=0) for i, s in [(2, 0.9), (3, 1)]),
    ]
    assert key(best_against_other(rows, by="kind", other="best")) == [(3, 1)]
    assert key(best_against_other(rows, by="kind", other="first")) == [(2, 1)]
    assert best_against_other(rows[:2], by="kind", other="best") == "one_source"


@pytest.mark.parametrize(("other", "expected"), [("first", (1, 2)), ("worst", (1, 3))])
def test_the_best_against_the_reference(other: Any, expected: tuple[int, int]) -> None:
    rows = graded(0.2, 0.6, 0.5, 0.1, 0.6)
    rows[2:] = [by(one, "reference") for one in rows[2:]]
    assert key(best_against_other(rows, by="author", other=other)) == [expected]
    assert best_against_other(rows, by="author", other="best") == "tied_sources"


def test_the_reference_may_win() -> None:
    rows = [judged(0, False), by(judged(1, True), "reference")]
    assert key(best_against_other(rows, by="author", other="first")) == [(1, 0)]


def test_proximal_is_the_nearest_of_other_score() -> None:
    rows = [
        tokens(judged(0, True), 1, 2, 3, 4, 5, 6),
        tokens(judged(1, False), 1, 2, 9, 9, 5, 6),
        tokens(judged(2, True), 8, 7),
        tokens(judged(3, False), 8, 8),
        tokens(judged(4, True), 1, 2, 3, 4, 5),
    ]
    # Two edits in six tokens are nearer than one in two, by share and not by number.
    assert key(proximal(rows, normalised=True)) == [(0, 1)]
    assert key(proximal(rows, normalised=False)) == [(2, 3)]
    # An equal answer of equal score is no contrast, however near.
    assert key(proximal([rows[0], rows[4], rows[3]], normalised=False)) == [(4, 3)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=7), st.lists(st.integers(0, 2), max_size=7))
def test_the_edit_distance_is_the_textbook_recursion(one: list[int], other: list[int]) -> None:
    table = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i, a in enumerate(one, start=1):
        for j, b in enumerate(other, start=1):
            table[i, j] = min(
                table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b)
            )
    assert edit_distance(one, other) == table[len(one), len(other)]


def test_a_tie_is_a_preference_only_when_asked_for_by_name() -> None:
    rows = [judged(i, True, length=length) for i, length in enumerate([5, 3, 9, 3])]
    assert best_worst(rows) == best_worst(rows, ties="drop") == []
    assert key(best_worst(rows, ties="first")) == [(0, 1)]
    assert key(best_worst(rows, ties="shorter")) == [(1, 2)]
    assert best_worst([rows[1], rows[3]], ties="shorter") == []
    seen = {key(best_worst(rows, seed, ties="random"))[0] for seed in range(400)}
    assert seen == {(i, j) for i in range(4) for j in range(4) if i != j}
    assert all(pair.tied and pair.margin == 0 for pair in best_worst(rows, ties="first"))


@pytest.mark.parametrize(("margin", "tied"), [(0.0, False), (0.5, True), (-1.0, False)])
def test_a_pair_says_whether_it_is_tied(margin: float, tied: bool) -> None:
    with pytest.raises(RowError, match="tie"):
        Pair(prompt_id="p", chosen=0, rejected=1, margin=margin, kind="natural", tied=tied)
