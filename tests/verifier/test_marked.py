import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.verifier.marked import after_marker, marked_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so #### 42", "42"),
        ("#### 41\n#### 42\nbye", "42"),
        ("####\n42\n", "42"),
        (r"so \boxed{42}", "42"),
        (r"\boxed{41} and \boxed {42}", "42"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\left\{1,2\right\}}", r"\left\{1,2\right\}"),
        (r"\boxed{1} #### 2", "2"),
        (r"#### 2 \boxed{1}", "1"),
        (r"#### \boxed{7}", "7"),
        ("the answer is 42", None),
        (r"cut off: \boxed{4", None),
        (r"\boxed{42} then cut off: \boxed{4", "42"),
        ("#### 42\n####", None),
        (r"\boxed{}", None),
        (r"\boxed{42} ####", "42"),
        ("", None),
    ],
)
def test_the_last_mark_counts(text, answer):
    assert marked_answer(text, "####") == answer


def test_without_a_marker_only_a_box_counts():
    assert marked_answer("#### 42", None) is None
    assert marked_answer(r"#### 42, \boxed{43}", None) == "43"


@given(st.text(), st.text(alphabet="0123456789abc", min_size=1))
def test_whatever_came_before_the_last_mark_does_not_matter(text, answer):
    assert marked_answer(f"{text} #### {answer}", "####") == answer
    assert marked_answer(f"{text} \\boxed{{{answer}}}", None) == answer
    assert after_marker(f"{text}#{answer}", "#") == answer
