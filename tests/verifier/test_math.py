import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_cli.verifier import math as math_module
from align_cli.verifier.math import PROGRAM, math
from align_cli.verifier.math_worker import judge as judge_alone

MATH = {
    "answer_marker": "####",
    "extract": "anywhere",
    "strict": True,
    "wrong_score": 0.0,
    "unmarked_score": 0.0,
    "timeout_seconds": 60.0,
    "workers": 1,
}

EQUAL = [
    ("1/2", "0.5"),
    ("1/2", r"\frac12"),
    ("0.5", r"\frac{1}{2}"),
    (r"\frac12", "1/2"),
    ("0.5", ".5"),
    ("2/4", "1/2"),
    ("1/3", "0.333333"),
    ("1,234", "1234"),
    ("1234", "1,234"),
    ("1,234,567", "1234567.0"),
    ("18", "$18"),
    ("18", r"\$18.00"),
    ("18", "18 dollars"),
    ("18", "18."),
    ("18", "**18**"),
    ("18", "$18$"),
    ("18", "x = 18"),
    ("-3", "- 3"),
    ("-5", "-$5"),
    ("-3", "\u22123"),
    ("50%", "50%"),
    ("50", r"50\%"),
    ("0.5", "50%"),
    ("100000", r"10^5"),
    ("0.001", "10^-3"),
    ("120000", "1.2e5"),
    ("11/2", "5 1/2"),
    ("11/2", r"5\frac{1}{2}"),
    ("8", "2^3"),
    ("8", "2**3"),
    (r"2\sqrt{2}", r"\sqrt{8}"),
    (r"\frac{\sqrt 2}{2}", r"1/\sqrt{2}"),
    ("2x+1", "1+2x"),
    ("$10-4 n$", "-4n+10"),
    ("(x+1)^2", "x^2+2x+1"),
    ("(1,2)", r"\left(1, 2\right)"),
    ("14,16", "16, 14"),
    ("3:45 pm", "3:45 P.M."),
    (r"x\leqslant 5", r"x \leq 5"),
    ("no solution", "No Solution."),
    (r"\text{no solution}", "no solution"),
    (r"\text{even}", "even"),
    ("B", "(B)"),
    ("(B)", r"\text{B}"),
]
UNEQUAL = [
    ("1/2", "1/3"),
    ("0.5", "0.51"),
    ("1234", "1,2345"),
    ("18", "-18"),
    ("18", "18.1"),
    ("18", "180"),
    ("18", "eighteen"),
    ("5", "5 pi"),
    ("3:45 pm", "3:45 am"),
    (r"\sqrt{2}", r"\sqrt{3}"),
    ("2x+1", "2y+1"),
    ("(1,2)", "(2,1)"),
    ("no solution", "on solution"),
    ("even", "odd"),
    ("B", "C"),
    ("x^2+1=0", "x^2+2=0"),
    ("7", ""),
    ("7", "?"),
]


def test_equal_answers_are_right_and_share_a_name(judge):
    rows = [(gold, f"#### {answer}") for gold, answer in EQUAL]
    wrong = [
        (row, label)
        for row, label in zip(EQUAL, judge(math, rows, **MATH), strict=True)
        if label.right is not True or label.score != 1.0 or label.clean_right is not True
    ]
    assert not wrong
    names = [label.answer for label in judge(math, rows, **MATH)]
    assert names == [
        label.answer for label in judge(math, [(g, f"#### {g}") for g, _ in EQUAL], **MATH)
    ]
    rows = [(gold, rf"\boxed{{{answer}}}") for gold, answer in EQUAL]
    assert all(label.right for label in judge(math, rows, **MATH))


def test_unequal_answers_are_wrong(judge):
    rows = [(gold, f"#### {answer}") for gold, answer in UNEQUAL]
    labels = judge(math, rows, **{**MATH, "extract": "marked"})
    accepted = [row for row, label in zip(UNEQUAL, labels, strict=True) if label.right]
    assert not accepted
    assert {(label.verdict, label.score) for label in labels} == {("judged", 0.0)}


@pytest.mark.parametrize(
    "gold", ["1/0", "???", r"\frac{1}{", "$3000 @ 11$", r"\begin{pmatrix}", " "]
)
def test_a_gold_that_cannot_be_read_judges_nobody(judge, gold):
    for label in judge(math, [(gold, "#### 5"), (gold, "no answer")], **MATH):
        assert (label.verdict, label.score, label.right) == ("unreadable_gold", None, None)


def test_no_gold_judges_nobody(judge):
    first, second = judge(math, [(None, "#### 5"), ("5", "#### 5")], **MATH)
    assert (first.verdict, first.score) == ("no_gold", None)
    assert second.right


def test_a_gold_may_carry_its_own_mark(judge):
    labels = judge(math, [("2+3=<<2+3=5>>5\n#### 5", "#### 5"), (r"\boxed{5}", "5")], **MATH)
    assert [label.right for label in labels] == [True, True]


def test_marked_reads_marks_only_and_anywhere_searches(judge):
    rows = [("5", "The answer is 5"), ("5", "3 + 2 = 5 apples"), ("5", "5 of the 7"), ("5", "none")]
    marked = judge(math, rows, **{**MATH, "extract": "marked"})
    assert [(label.right, label.answer) for label in marked] == [(False, None)] * 4
    anywhere = judge(math, rows, **MATH)
    assert [label.answer for label in anywhere] == ["5", "5", "7", None]
    assert [label.right for label in anywhere] == [True, True, False, False]


def test_a_mark_outweighs_whatever_else_is_in_the_text(judge):
    labels = judge(math, [("5", r"\boxed{4}, or rather 5"), ("5", "#### 4\nso 5 is it")], **MATH)
    assert [(label.right, label.answer) for label in labels] == [(False, "4"), (False, "4")]


def test_strict_names_variables(judge):
    row = [("x+1", "#### y+1")]
    assert not judge(math, row, **MATH)[0].right
    assert judge(math, row, **{**MATH, "strict": False})[0].right


def test_scores_of_wrong_answers_can_depend_on_the_mark(judge):
    rows = [("5", r"\boxed{5}"), ("5", r"\boxed{4}"), ("5", "4"), ("5", "5"), ("5", "none")]
    reward = {**MATH, "answer_marker": None, "wrong_score": -0.5, "unmarked_score": -1.0}
    labels = judge(math, rows, **reward)
    assert [label.score for label in labels] == [1.0, -0.5, -1.0, 1.0, -1.0]
    assert [label.clean_score for label in labels] == [label.score for label in labels]


@settings(max_examples=60)
@given(st.integers(-(10**7), 10**7), st.integers(0, 9))
def test_digits_decide_and_spelling_does_not(number, digit):
    def right(gold: str, answer: str) -> bool:
        reply = judge_alone({"gold": gold, "answer": answer, "anywhere": False, "strict": True})
        return bool(reply["right"])

    for spelling in (f"{number}", f"{number:,}", f" {number} ", f"${number}$", f"{number}.0"):
        assert right(str(number), spelling)
        assert right(f"{number:,}", spelling)
    assert right(f"{number}/7", f"\\frac{{{number}}}{{7}}")
    assert number == 0 or not right(str(number), f"{number}{digit}")
    assert not right(str(number), str(number + 1))
    assert not right(f"{number}/7", f"\\frac{{{number}}}{{8}}") or number == 0


def test_wrong_answers_that_are_equal_share_a_name(judge):
    answers = ["0.5", "1/2", r"\frac{1}{2}", "$.50", r"\boxed{\dfrac12}"]
    labels = judge(math, [("7", f"#### {answer}") for answer in answers], **MATH)
    assert {(label.right, label.answer) for label in labels} == {(False, "0.5")}
    labels = judge(math, [("7", "#### 1,200 eggs"), ("7", "#### 1200"), ("7", "1200")], **MATH)
    assert {label.answer for label in labels} == {"1200"}


def test_a_tower_of_powers_times_out_alone(judge, children):
    """The expression of github.com/huggingface/Math-Verify/issues/65, and a plainer one."""
    tower = r"\boxed{\dfrac{5^{\left(5^{\left(5^{\left(5^5\right)}\right)} - 4\right)} - 5}{16}}"
    rows = [("5", "#### 5"), ("5", tower), ("5", "#### 9^{9^{9^{9}}}"), ("5", "#### 6")]
    started = time.monotonic()
    labels = judge(math, rows, **{**MATH, "timeout_seconds": 2.0, "workers": 2})
    assert time.monotonic() - started < 30
    assert [label.right for label in labels] == [True, None, None, False]
    assert [label.verdict for label in labels] == ["judged", "timeout", "timeout", "judged"]
    assert all(label.score is None for label in labels[1:3])
    assert not children(os.getpid())


def test_a_worker_that_crashes_is_an_error_of_its_row(judge, tmp_path, monkeypatch):
    program = tmp_path / "worker.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(PROGRAM.parents[2])!r})\n"
        "import os\n"
        "from align_cli.verifier import math_worker\n"
        "from align_cli.verifier.worker import serve\n"
        "judge = math_worker.judge\n"
        "def crash(question):\n"
        "    if question['answer'] == '13': os._exit(3)\n"
        "    if question['answer'] == '14': raise MemoryError('all gone')\n"
        "    return judge(question)\n"
        "serve(crash, failures=(MemoryError,))\n"
    )
    monkeypatch.setattr(math_module, "PROGRAM", program)
    rows = [("5", "#### 5"), ("5", "#### 13"), ("5", "#### 14"), ("5", "#### 6")]
    labels = judge(math, rows, **{**MATH, "workers": 2})
    assert [label.verdict for label in labels] == ["judged", "error", "error", "judged"]
    assert [label.right for label in labels] == [True, None, None, False]
    assert "exit status 3" in labels[1].detail
    assert "all gone" in labels[2].detail


def test_labels_do_not_depend_on_the_number_of_workers(judge):
    rows = [(str(n % 7), f"{n} and then #### {n % 5}") for n in range(40)]
    one, three = (judge(math, rows, **{**MATH, "workers": workers}) for workers in (1, 3))
    assert one == three
    assert [label.right for label in one] == [n % 7 == n % 5 for n in range(40)]


def test_equal_questions_are_asked_once(judge, monkeypatch):
    asked = []
    real = math_module.ask_all

    def count(program, questions, **limits):
        asked.extend(questions)
        return real(program, questions, **limits)

    monkeypatch.setattr(math_module, "ask_all", count)
    labels = judge(math, [("5", f"{n}... #### 5") for n in range(10)], **MATH)
    assert len(asked) == 1
    assert all(label.right for label in labels)


def test_long_texts_are_bounded(judge):
    rambling = "the sum is 3 + 4, or is it? " * 20_000
    started = time.monotonic()
    rows = [("5", rambling + "#### 5"), ("5", rambling + " 5"), ("5", "#### " + "1" * 100_000)]
    labels = judge(math, rows, **MATH)
    assert time.monotonic() - started < 30
    assert [(label.right, label.answer) for label in labels] == [
        (True, "5"),
        (True, "5"),
        (False, None),
    ]


def test_the_worker_imports_nothing_heavy():
    """A worker costs what math-verify costs, and holds no copy of the model's libraries."""
    code = (
        "import runpy, sys, io; sys.stdin = io.StringIO(''); "
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__'); "
        "heavy = {'torch', 'transformers', 'datasets', 'omegaconf', 'numpy'} & set(sys.modules); "
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stdout + done.stderr == '{"ready": true}\n[]\n'
