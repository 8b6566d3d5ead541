import pytest

from align_cli.verifier.exact import exact


@pytest.mark.parametrize(
    ("gold", "text", "right", "answer"),
    [
        ("12", "7+8=15;15-3=12#12", True, "12"),
        ("12", "7+8=15;15-3=12# 12 \n", True, "12"),
        ("12", "#1#12", True, "12"),
        ("12", "#12#1", False, "1"),
        ("12", "#12.0", False, "12.0"),
        ("12", "#012", False, "012"),
        ("12", "15-3=12", False, None),
        ("12", "", False, None),
        ("12", "12#", False, ""),
        (" 12\n", "#12", True, "12"),
    ],
)
def test_the_answer_is_the_gold_as_a_string(judge, gold, text, right, answer):
    (label,) = judge(exact, [(gold, text)], marker="#")
    assert (label.verdict, label.right, label.answer) == ("judged", right, answer)
    assert label.score == float(right)
    assert (label.clean_score, label.clean_right) == (label.score, label.right)


def test_without_a_gold_nothing_is_judged(judge):
    missing, blank = judge(exact, [(None, "#12"), ("  ", "#")], marker="#")
    assert (missing.verdict, missing.score, missing.right) == ("no_gold", None, None)
    assert (blank.verdict, blank.score, blank.right) == ("unreadable_gold", None, None)


def test_a_marker_of_several_characters(judge):
    labels = judge(exact, [("5", "#5"), ("5", "#### 5")], marker="####")
    assert [label.right for label in labels] == [False, True]


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="zip"):
        exact([], [None], marker="#")
