"""Each filter on pairs written out, the order of reasons, and that nothing goes uncounted."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import PROMPT, judged

from align_cli.errors import AlignError
from align_cli.filter.chain import chain
from align_cli.filter.none import none
from align_cli.rows import Judged
from align_cli.training_rows import Pair, Steps

OFF: dict[str, Any] = dict.fromkeys(
    (
        "drop_truncated", "same_first_tokens", "least_margin", "min_length_ratio",
        "max_length_ratio", "min_difficulty", "max_difficulty", "drop_duplicates",
    )
)  # fmt: skip


def over(chosen: int, rejected: int, margin: float = 1.0) -> Pair:
    return Pair(prompt_id=PROMPT, chosen=chosen, rejected=rejected, margin=margin, kind="natural")


def reasons(rows: list[Judged], *pairs: Pair, **changes: Any) -> list[str | None]:
    return chain(list(pairs), rows, **{**OFF, **changes})


def with_tokens(one: Judged, *ids: int, logp: float = -0.5) -> Judged:
    made = replace(one.completion, token_ids=ids, logps=(logp,) * len(ids))
    return replace(one, completion=made)


def test_what_is_off_drops_nothing() -> None:
    rows = [judged(0, True, finish="length"), judged(1, False)]
    assert reasons(rows, over(0, 1), over(0, 1)) == [None, None]
    assert none([over(0, 1)]) == [None]


@pytest.mark.parametrize(
    ("which", "expected"), [("chosen", [None, "truncated"]), ("either", ["truncated"] * 2)]
)
def test_truncated(which: str, expected: list[Any]) -> None:
    rows = [judged(0, True), judged(1, False, finish="length"), judged(2, True, finish="length")]
    assert reasons(rows, over(0, 1), over(2, 0), drop_truncated=which) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"), [(1, "same_opening"), (2, "same_opening"), (3, None), (9, None)]
)
def test_one_answer_after_truncation(tokens: int, expected: str | None) -> None:
    rows = [with_tokens(judged(0, True), 1, 2, 3), with_tokens(judged(1, False), 1, 2)]
    assert reasons(rows, over(0, 1), same_first_tokens=tokens) == [expected]


def test_of_steps_only_what_is_trained_on_is_looked_at() -> None:
    rows = [
        with_tokens(judged(0, True, finish="length"), 1, 2, 3, 4),
        with_tokens(judged(1, False), 1, 5, 3, 4, 6, 7),
    ]
    steps = Steps(
        chosen_tokens=2, rejected_tokens=4, chosen_value=1.0, rejected_value=0.0,
        chosen_visits=1, rejected_visits=1,
    )  # fmt: skip
    pair = replace(over(0, 1), steps=steps)
    assert reasons(rows, pair, drop_truncated="either") == [None]
    assert reasons(rows, over(0, 1), drop_truncated="either") == ["truncated"]
    assert reasons(rows, pair, min_length_ratio=0.6) == ["length_ratio"]
    assert reasons(rows, over(0, 1), min_length_ratio=0.6) == [None]
    assert reasons(rows, pair, pair, drop_duplicates="ids") == [None, "duplicate"]
    with pytest.raises(AlignError, match="the pairs are of steps"):
        reasons(rows, pair, drop_duplicates="text")


def test_margin() -> None:
    rows = [judged(0, True), judged(1, False)]
    assert reasons(rows, over(0, 1, 0.2), over(0, 1, 0.3), least_margin=0.3) == ["margin", None]


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(0.5, 2.0, None), (0.6, None, "length_ratio"), (None, 0.4, "length_ratio"), (0.5, 0.5, None)],
)
def test_length_ratio(least: float | None, most: float | None, expected: str | None) -> None:
    rows = [judged(0, True, length=4), judged(1, False, length=8)]
    found = reasons(rows, over(0, 1), min_length_ratio=least, max_length_ratio=most)
    assert found == [expected]


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(2.0, None, None), (2.1, None, "difficulty"), (None, 1.9, "difficulty"), (1.0, 2.0, None)],
)
def test_difficulty_is_rl_minus_rw(
    least: float | None, most: float | None, expected: str | None
) -> None:
    # rw = 4 * -1, rl = 4 * -0.5
    rows = [with_tokens(judged(0, True), 1, 2, 3, 4, logp=-1.0), judged(1, False)]
    found = reasons(rows, over(0, 1), min_difficulty=least, max_difficulty=most)
    assert found == [expected]


def test_difficulty_of_a_correction_is_under_the_original_prompt() -> None:
    rows = [judged(0, False), judged(1, True, corrects=0, prompt_logp=-9.0)]
    assert reasons(rows, over(1, 0), min_difficulty=7.0) == [None]
    rows[1] = judged(1, True, corrects=0)
    assert reasons(rows, over(1, 0), min_difficulty=7.0) == ["unknown_difficulty"]
    assert reasons(rows, over(1, 0)) == [None]


def test_duplicates_by_ids_and_by_text() -> None:
    rows = [
        with_tokens(judged(0, True, text="a"), 1),
        with_tokens(judged(1, False, text="b"), 2),
        with_tokens(judged(2, True, text=" a "), 1, 9),
        with_tokens(judged(3, False, text="b"), 2),
        with_tokens(judged(4, False, text="a"), 1),
    ]
    pairs = [over(0, 1), over(2, 1), over(0, 3), over(0, 4)]
    # Same two answers as the first pair; the last is one answer twice.
    assert reasons(rows, *pairs, drop_duplicates="ids") == [None, None, "duplicate", "duplicate"]
    assert reasons(rows, *pairs, drop_duplicates="text") == [None, *["duplicate"] * 3]


def test_a_dropped_pair_makes_no_duplicates() -> None:
    rows = [judged(0, True), judged(1, False, length=5)]
    pairs = [over(0, 1, 0.1), over(0, 1, 1.0)]
    assert reasons(rows, *pairs, least_margin=0.5, drop_duplicates="ids") == ["margin", None]


def test_bounds_that_nothing_can_pass_are_refused() -> None:
    rows = [judged(0, True), judged(1, False)]
    with pytest.raises(AlignError, match=r"filter\.min_length_ratio=2\.0 is above"):
        reasons(rows, over(0, 1), min_length_ratio=2.0, max_length_ratio=1.0)
    with pytest.raises(AlignError, match=r"filter\.max_difficulty=-1\.0"):
        reasons(rows, over(0, 1), min_difficulty=0.0, max_difficulty=-1.0)


@settings(deadline=None)
@given(st.permutations(range(4)), st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_the_order_of_siblings_does_not_matter(order: list[int], lengths: list[int]) -> None:
    rows = [judged(i, i < 2, length=lengths[i], finish="stop" if i else "length") for i in range(4)]
    pairs = [over(0, 2), over(0, 3), over(1, 2), over(1, 3)]
    changes = {"drop_truncated": "either", "max_length_ratio": 1.5, "drop_duplicates": "ids"}
    found = reasons(rows, *pairs, **changes)
    assert len(found) == len(pairs)
    assert reasons([rows[place] for place in order], *pairs, **changes) == found
