import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_rows import judged

from align_cli.errors import RowError
from align_cli.gate import gate_failure
from align_cli.rows import Gate

FAILED = judged(0, False, length=10)
EVERYTHING = Gate(
    right=True,
    stops=True,
    answer_marker="#",
    leak_phrases=("The Given Answer",),
    min_length_ratio=0.5,
    max_length_ratio=2.0,
    min_mean_logp=-1.0,
)
GOOD: dict[str, Any] = {
    "right": True, "length": 10, "finish": "stop", "text": "12#12", "prompt_logp": -10.0
}  # fmt: skip
FAULTS: dict[str, dict[str, Any]] = {
    "not_judged": {"right": None},
    "not_right": {"right": False},
    "not_stopped": {"finish": "length"},
    "answer_marker": {"text": "12#12#12"},
    "leak": {"text": "as the GIVEN answer says #12"},
    "too_short": {"length": 4, "prompt_logp": -4.0},
    "too_long": {"length": 21, "prompt_logp": -21.0},
    "low_logp": {"prompt_logp": -10.1},
}


def correction(**changed: Any):
    return judged(2, corrects=0, **(GOOD | changed))


def test_a_good_correction_passes_every_check():
    assert gate_failure(EVERYTHING, correction(), FAILED) is None


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(name: str):
    assert gate_failure(EVERYTHING, correction(**FAULTS[name]), FAILED) == name


@given(
    unjudged=st.booleans(),
    wrong=st.booleans(),
    cut=st.booleans(),
    text=st.sampled_from(["answer_marker", "leak", None]),
    size=st.sampled_from(["too_short", "too_long", None]),
    unlikely=st.booleans(),
)
def test_the_first_failing_check_is_named(
    unjudged: bool, wrong: bool, cut: bool, text: str | None, size: str | None, unlikely: bool
):
    expected = [
        name
        for name, present in [
            ("not_judged", unjudged), ("not_right", wrong), ("not_stopped", cut),
            (text, text), (size, size), ("low_logp", unlikely), (None, True),
        ]
        if present
    ]  # fmt: skip
    length = FAULTS[size]["length"] if size else 10
    one = correction(
        right=None if unjudged else not wrong,
        finish="length" if cut else "stop",
        text=FAULTS[text]["text"] if text else GOOD["text"],
        length=length,
        prompt_logp=-1.1 * length if unlikely else -0.9 * length,
    )
    assert gate_failure(EVERYTHING, one, FAILED) == expected[0]


@pytest.mark.parametrize("length", [5, 20])
def test_the_length_bounds_themselves_pass(length: int):
    bounds = correction(length=length, prompt_logp=-float(length))
    assert gate_failure(EVERYTHING, bounds, FAILED) is None


@pytest.mark.parametrize("text", ["12", "12#12#12"])
def test_the_marker_occurs_exactly_once(text: str):
    assert gate_failure(EVERYTHING, correction(text=text), FAILED) == "answer_marker"


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("not_right", {"right": False}),
        ("not_stopped", {"stops": False}),
        ("answer_marker", {"answer_marker": None}),
        ("leak", {"leak_phrases": ()}),
        ("too_short", {"min_length_ratio": None}),
        ("too_long", {"max_length_ratio": None}),
        ("low_logp", {"min_mean_logp": None}),
    ],
)
def test_each_check_can_be_switched_off(name: str, off: dict[str, Any]):
    assert gate_failure(replace(EVERYTHING, **off), correction(**FAULTS[name]), FAILED) is None


def test_an_unjudged_correction_never_passes():
    lenient = Gate(right=False, stops=False)
    assert gate_failure(lenient, correction(right=None), FAILED) == "not_judged"


def test_an_unknown_log_prob_is_not_a_pass():
    with pytest.raises(RowError, match="not scored under its original prompt"):
        gate_failure(EVERYTHING, correction(prompt_logp=None), FAILED)
    nan = correction(prompt_logp=math.nan)
    assert gate_failure(EVERYTHING, nan, FAILED) == "low_logp"
    unused = replace(EVERYTHING, min_mean_logp=None)
    assert gate_failure(unused, correction(prompt_logp=None), FAILED) is None


def test_a_correction_is_held_against_its_own_attempt():
    with pytest.raises(RowError, match="corrects attempt 0, not"):
        gate_failure(EVERYTHING, correction(), judged(1, False))
