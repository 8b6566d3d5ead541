import os

import pytest

from align_cli.errors import ConfigError
from align_cli.verifier.regex import regex

REGEX = {
    "pattern": r"####\s*(?P<answer>\S[^\n]*)", "match": "last", "compare": "number",
    "ignore_case": False, "timeout_seconds": 30.0, "workers": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "rows", "answers", "rights"),
    [
        (
            {},
            [("1,234.50", "so #### 1234.5"), ("1/2", "#### 1\n#### 0.50"), ("7", "#### 8"),
             ("7", "seven"), ("7", "#### seven"), ("18", "#### $18.")],
            ["2469/2", "1/2", "8", None, None, "18"],
            [True, True, False, False, False, True],
        ),
        ({"match": "first"}, [("1", "#### 1\n#### 2")], ["1"], [True]),
        (
            {"compare": "text", "pattern": r"is ([A-D])\b"},
            [("B", "it is B"), ("B", "it is b"), ("b", "it is B")],
            ["B", None, "B"],
            [True, False, False],
        ),
        (
            {"compare": "text", "pattern": r"is ([A-D])\b", "ignore_case": True},
            [("B", "it is b"), ("b", "it IS B"), ("C", "it is B")],
            ["b", "b", "b"],
            [True, True, False],
        ),
        ({"pattern": r"\d+"}, [("12", "3 and 12")], ["12"], [True]),
    ],
    ids=["number", "first", "text", "letter case", "no group"],
)  # fmt: skip
def test_what_the_pattern_extracts_is_compared(judge, setting, rows, answers, rights):
    labels = judge(regex, rows, **{**REGEX, **setting})
    assert [label.answer for label in labels] == answers
    assert [label.right for label in labels] == rights
    assert [label.score for label in labels] == [float(right) for right in rights]


def test_a_gold_that_is_no_number_is_not_judged(judge):
    labels = judge(regex, [("seven", "#### 7"), (" ", "#### 7"), (None, "#### 7")], **REGEX)
    verdicts = [label.verdict for label in labels]
    assert verdicts == ["unreadable_gold", "unreadable_gold", "no_gold"]


def test_a_pattern_that_hangs_is_killed_and_the_rest_is_judged(judge, children):
    hanging = {"pattern": r"(a|aa)+$", "compare": "text", "timeout_seconds": 1.0}
    labels = judge(regex, [("a", "a"), ("a", "a" * 60 + "b"), ("aa", "a")], **{**REGEX, **hanging})
    assert [label.verdict for label in labels] == ["judged", "timeout", "judged"]
    assert not children(os.getpid())


def test_a_pattern_that_is_none_is_the_users_mistake(judge):
    with pytest.raises(ConfigError, match=r"verifier\.pattern.*unterminated"):
        judge(regex, [("7", "7")], **{**REGEX, "pattern": "(7"})
