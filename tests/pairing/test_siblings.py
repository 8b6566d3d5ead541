"""All judged completions of a prompt as one group, or the reason why there is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import judged

from align_cli.errors import RowError
from align_cli.pairing.siblings import siblings
from align_cli.training_rows import Group

CHOICES = {"least_size": 2, "keep_tied": False, "corrections": True}


def grouped(rows, **changes):
    return siblings(rows, **{**CHOICES, **changes})


def test_all_are_members_in_order_of_index():
    rows = [judged(2, True), judged(0, False), judged(1, False)]
    (group,) = grouped(rows)
    assert (group.indices, group.scores, group.rights) == (
        (0, 1, 2), (0.0, 0.0, 1.0), (False, False, True)
    )  # fmt: skip


def test_a_judge_that_grades_gives_no_verdicts():
    (group,) = grouped([judged(0, None, score=0.2), judged(1, None, score=0.7)])
    assert group.rights is None
    assert group.scores == (0.2, 0.7)


def test_one_score_is_a_tie_unless_ties_are_kept():
    rows = [judged(0, True), judged(1, True)]
    assert grouped(rows) == "tied"
    (group,) = grouped(rows, keep_tied=True)
    assert group.rights == (True, True)


def test_too_few_are_said_before_ties():
    rows = [judged(0, True), judged(1, True), judged(2, False)]
    assert grouped(rows, least_size=4) == "too_few"
    assert grouped(rows[:2], least_size=3) == "too_few"
    assert len(grouped(rows, least_size=3)) == 1


def test_corrections_are_members_by_choice():
    rows = [judged(0, False), judged(1, False), judged(2, True, corrects=0)]
    assert grouped(rows)[0].indices == (0, 1, 2)
    # Without the correction the two attempts tie.
    assert grouped(rows, corrections=False) == "tied"
    assert grouped(rows[1:], corrections=False) == "too_few"


@settings(deadline=None)
@given(
    st.permutations(range(5)), st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=5, max_size=5)
)
def test_the_order_of_rows_does_not_matter(order, scores):
    rows = [judged(index, None, score=scores[index]) for index in range(5)]
    assert grouped([rows[place] for place in order]) == grouped(rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"indices": (0,), "scores": (1.0,), "rights": None}, "two or more"),
        ({"indices": (0, 0)}, "two or more"),
        ({"scores": (1.0,)}, "1 scores of 2"),
        ({"rights": (True,)}, "1 rights of 2"),
        ({"scores": (1.0, float("nan"))}, "finite"),
    ],
)
def test_a_group_that_is_none_is_refused(change, said):
    good = {"prompt_id": "p", "indices": (0, 1), "scores": (1.0, 0.0), "rights": (True, False)}
    Group(**good)
    with pytest.raises(RowError, match=said):
        Group(**{**good, **change})
