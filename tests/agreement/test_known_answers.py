import json
from pathlib import Path

import pytest

from align_cli.agreement.judging import judge_all
from align_cli.agreement.known_answers import Known, read_known
from align_cli.agreement.tally import tally
from align_cli.errors import ConfigError, RowError
from align_cli.report.reporter import Silent
from align_cli.rows import Label

ASK = {"question": None, "gold": None, "gold_after": None, "answers": [], "labels": []}


def file_of(folder: Path, *rows: dict) -> str:
    path = folder / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def test_fields_are_found_beside_the_question_or_in_objects(tmp_path):
    flat = {"prompt": "1+1", "gold": 2, "response": "it is 2", "correct": 1}
    fields, [one] = read_known(file_of(tmp_path, flat), **ASK)
    assert (fields.question, fields.gold, fields.answers) == (
        "prompt", "gold", (("response", "correct"),)
    )  # fmt: skip
    assert (one.prompt.gold, one.completion.text, one.right) == ("2", "it is 2", True)
    nested = {
        "question": "1+1", "ground_truth": "so A: 2",
        "a": {"solution": "2", "is_correct": True}, "b": {"solution": "3", "is_correct": False},
        "c": {"note": "no answer"},
    }  # fmt: skip
    _, known = read_known(file_of(tmp_path, nested), **{**ASK, "gold_after": "A:"})
    assert [one.right for one in known] == [True, False]
    assert [one.completion.index for one in known] == [0, 1]
    assert known[1].place == "answers.jsonl:1 b.solution"
    assert known[0].prompt.gold == "2"


def test_rows_of_one_question_are_siblings_and_blank_answers_are_none(tmp_path):
    row = {"question": "1+1", "gold": "2", "text": "2", "right": "true"}
    rows = [row, {**row, "text": "3", "right": None}, {**row, "text": None}]
    _, known = read_known(file_of(tmp_path, *rows), **ASK)
    assert [(one.completion.index, one.right) for one in known] == [(0, True), (1, None)]
    assert len({one.prompt.id for one in known}) == 1


@pytest.mark.parametrize(
    ("row", "ask", "error", "message"),
    [
        ({"q": "1+1"}, {}, ConfigError, "none of question, prompt.*give --question"),
        ({"question": "1", "gold": "2"}, {}, ConfigError, "no answer .* with a label"),
        ({"question": "1"}, {"answers": ["a"]}, ConfigError, "1 --answer but 0 --label"),
        (
            {"question": "1", "gold": "2", "text": "2", "right": "maybe"},
            {}, RowError, "label 'right' is 'maybe'",
        ),
        (
            {"question": "1", "text": "2", "ok": True},
            {"answers": ["txt"], "labels": ["ok"]}, RowError, "did you mean 'text'",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(tmp_path, row, ask, error, message):
    with pytest.raises(error, match=message):
        read_known(file_of(tmp_path, row), **{**ASK, **ask})


def said(known: list[Known], verdicts: list[object]) -> list[Label]:
    """Labels: True, False, a grade, or a verdict."""
    labels = []
    for one, verdict in zip(known, verdicts, strict=True):
        score = None if isinstance(verdict, str) else float(verdict)
        right = verdict if isinstance(verdict, bool) else None
        labels.append(
            Label(
                prompt_id=one.prompt.id, index=one.completion.index, score=score, right=right,
                verdict=verdict if isinstance(verdict, str) else "judged",
            )
        )  # fmt: skip
    return labels


@pytest.fixture
def known(tmp_path) -> list[Known]:
    """Of one question right, wrong, unknown, wrong; of another right, right."""
    one = [{"question": "1+1", "gold": "2", "text": str(n), "right": right}
           for n, right in enumerate([True, False, None, False])]  # fmt: skip
    other = [{"question": "2+2", "gold": "4", "text": str(n), "right": True} for n in range(2)]
    return read_known(file_of(tmp_path, *one, *other), **ASK)[1]


def test_a_tally_by_hand(known):
    found = tally(known, said(known, [True, True, False, False, "timeout", False]))
    assert found.confusion == {
        "right": {"right": 1, "timeout": 1, "wrong": 1},
        "wrong": {"right": 1, "wrong": 1},
        "unknown": {"wrong": 1},
    }
    assert (found.agreement, found.answers) == (2 / 4, 6)
    assert (found.false_positive_rate, found.false_negative_rate) == (1 / 2, 1 / 2)
    assert found.unscored == {"timeout": 1}
    assert [one.completion.text for one, _ in found.disagreements] == ["1", "1"]
    assert found.ranked == {"rightly": 1, "wrongly": 0, "tied": 1}
    assert found.pair_accuracy == 3 / 4


def test_a_judge_that_only_grades_has_no_agreement_but_an_order(known):
    found = tally(known, said(known, [0.5, 0.7, 9.0, 0.1, "refused", 0.2]))
    assert found.agreement is None
    assert not found.disagreements
    assert found.ranked == {"rightly": 1, "wrongly": 1, "tied": 0}
    assert found.confusion["wrong"] == {"graded": 2}


def test_siblings_are_judged_together_and_labels_come_in_the_files_order(known):
    def verifier(prompts, siblings):
        return [
            Label(prompt_id=row.prompt_id, index=row.index, score=float(len(members)))
            for members in siblings
            for row in members
        ]

    verifier.unit = "siblings"
    mixed = [known[4], known[0], known[5], *known[1:4]]
    labels, seconds = judge_all(verifier, mixed, Silent())
    assert [(label.prompt_id, label.index) for label in labels] == [
        (one.prompt.id, one.completion.index) for one in mixed
    ]
    assert [label.score for label in labels] == [2, 4, 2, 4, 4, 4]
    assert seconds > 0
