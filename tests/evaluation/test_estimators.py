"""pass@k and maj@k against enumeration."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.evaluation.majority import majority_right
from align_cli.evaluation.pass_at_k import pass_at_k


@pytest.mark.parametrize("samples", range(1, 8))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_answer(samples: int):
    for right, k in product(range(samples + 1), range(1, samples + 1)):
        subsets = list(combinations([True] * right + [False] * (samples - right), k))
        share = sum(any(subset) for subset in subsets) / len(subsets)
        assert pass_at_k(samples, right, k) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(
    ("samples", "right", "k"), [(200, 3, 100), (2000, 1, 1024), (1000, 500, 8)]
)
def test_pass_at_k_does_not_overflow(samples: int, right: int, k: int):
    exact = 1 - Fraction(comb(samples - right, k), comb(samples, k))
    assert pass_at_k(samples, right, k) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_pass_at_k_is_unbiased(k: int):
    # The mean over the 2^5 outcomes of five answers, each right with chance 0.3.
    p, samples = 0.3, 5
    mean = sum(
        comb(samples, right)
        * p**right
        * (1 - p) ** (samples - right)
        * pass_at_k(samples, right, k)
        for right in range(samples + 1)
    )
    assert mean == pytest.approx(1 - (1 - p) ** k)


@pytest.mark.parametrize(("samples", "right", "k"), [(2, 3, 1), (2, -1, 1), (2, 1, 3), (2, 1, 0)])
def test_pass_at_k_refuses_the_impossible(samples: int, right: int, k: int):
    with pytest.raises(ValueError, match="samples"):
        pass_at_k(samples, right, k)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([], None),
        ([("12", True)], 1),
        ([("12", True), ("12", True), ("13", False)], 1),
        ([("12", True), ("13", False), ("13", False)], 0),
        ([("12", True), ("13", False)], 1 / 2),
        ([("12", True), ("13", False), ("14", False)], 1 / 3),
        ([("12", True), ("0.5", True), ("14", False)], 2 / 3),
        ([(None, False), (None, False), ("12", True)], 1),
        ([(None, False), (None, False)], 0),
        ([("12", True), ("12", False), ("13", False)], 1 / 2),
    ],
)
def test_majority(votes: list[tuple[str | None, bool]], expected: float | None):
    assert majority_right(votes) == (None if expected is None else pytest.approx(expected))


@given(votes=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=6))
def test_majority_is_the_mean_over_all_ways_to_break_ties(votes: list[str | None]):
    right = {"a", "d"}
    counts = [(votes.count(answer), answer) for answer in sorted({v for v in votes if v})]
    outcomes = [
        answer in right for count, answer in counts if all(count >= other for other, _ in counts)
    ]
    expected = sum(outcomes) / len(outcomes) if outcomes else 0
    assert majority_right([(vote, vote in right) for vote in votes]) == pytest.approx(expected)
