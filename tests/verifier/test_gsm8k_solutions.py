"""Real solutions with human-made labels: how often the verifiers agree with them."""

import json
from collections import Counter

import pytest

from align_cli.verifier.exact import exact
from align_cli.verifier.math import math

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
MATH = {
    "strict": True,
    "wrong_score": 0.0,
    "unmarked_score": 0.0,
    "timeout_seconds": 60.0,
    "workers": 2,
}


@pytest.fixture(scope="module")
def labelled(shared_data) -> list[tuple[str, str, bool]]:
    """(gold, solution, is it correct) of 1,600 solutions of GSM8K test questions."""
    lines = shared_data("gsm8k_solutions/solutions.jsonl").read_text().splitlines()
    rows = []
    for line in lines:
        problem = json.loads(line)
        gold = problem["ground_truth"].rpartition("A: ")[2]
        for model in MODELS:
            rows.append((gold, problem[model]["solution"], problem[model]["is_correct"]))
    assert len(rows) == 1600
    return rows


def _counts(labels, labelled) -> Counter[str]:
    names = {
        (True, True): "right",
        (False, False): "wrong",
        (False, True): "falsely accepted",
        (True, False): "falsely rejected",
    }
    return Counter(
        names.get((row[2], label.right), label.verdict)
        for row, label in zip(labelled, labels, strict=True)
    )


@pytest.mark.parametrize(
    "setting",
    [
        {"answer_marker": "A:", "extract": "marked"},
        {"answer_marker": "A:", "extract": "anywhere"},
        {"answer_marker": None, "extract": "anywhere"},
    ],
)
def test_math_agrees_with_the_labels(judge, labelled, setting):
    labels = judge(math, [row[:2] for row in labelled], **MATH, **setting)
    counts = _counts(labels, labelled)
    assert counts["falsely accepted"] + counts["falsely rejected"] <= 3, counts  # measured: 0
    assert counts["right"] + counts["wrong"] >= 1597, counts


def test_without_its_answer_line_a_solution_is_judged_by_its_last_number(judge, labelled):
    """Where `anywhere` errs: 18 of 615 right ones end on another number, 2 wrong ones do not."""
    rows = [(gold, text.rpartition("A:")[0] or text) for gold, text, _ in labelled]
    setting = {"answer_marker": "####", "extract": "anywhere"}
    counts = _counts(judge(math, rows, **MATH, **setting), labelled)
    assert counts["falsely accepted"] <= 6, counts
    assert 10 <= counts["falsely rejected"] <= 26, counts
    marked = judge(math, rows, **MATH, **{**setting, "extract": "marked"})
    assert _counts(marked, labelled) == {"wrong": 985, "falsely rejected": 615}


def test_exact_agrees_up_to_the_spelling_of_numbers(judge, labelled):
    counts = _counts(judge(exact, [row[:2] for row in labelled], marker="A:"), labelled)
    assert counts["falsely accepted"] == 0, counts
    assert counts["falsely rejected"] <= 30, counts
