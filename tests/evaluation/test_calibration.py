"""Numbers of a judge on pairs, against a naive loop and by their limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.evaluation.calibration import BINS, preference_metrics


def naive(log_odds: list[float]) -> dict[str, float]:
    chances = [1 / (1 + math.exp(-z)) for z in log_odds]
    right = sum(1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p in chances)
    error = 0.0
    for number in range(BINS):
        low, high = 0.5 + 0.5 * number / BINS, 0.5 + 0.5 * (number + 1) / BINS
        inside = [
            p for p in chances
            if low <= max(p, 1 - p) < high or (number == BINS - 1 and max(p, 1 - p) == high)
        ]  # fmt: skip
        if inside:
            share = sum(1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p in inside) / len(inside)
            sure = sum(max(p, 1 - p) for p in inside) / len(inside)
            error += len(inside) / len(chances) * abs(share - sure)
    return {
        "x_pairs": len(chances),
        "x_accuracy": right / len(chances),
        "x_nll": sum(-math.log(p) for p in chances) / len(chances),
        "x_confidence": sum(max(p, 1 - p) for p in chances) / len(chances),
        "x_ece": error,
    }


@given(st.lists(st.integers(-2900, 2900).map(lambda n: n / 100 + 0.001), min_size=1, max_size=40))
def test_they_are_what_a_loop_finds(log_odds: list[float]) -> None:
    assert preference_metrics(log_odds, "x") == pytest.approx(naive(log_odds), abs=1e-9)


def test_a_judge_that_is_as_sure_as_it_is_right_has_no_error() -> None:
    sure = math.log(3)  # p = 3/4
    assert preference_metrics([sure, sure, sure, -sure], "x")["x_ece"] == pytest.approx(0)
    assert preference_metrics([-sure] * 4, "x")["x_ece"] == pytest.approx(0.75)
    assert preference_metrics([0.0, 0.0], "x") == pytest.approx(
        {"x_pairs": 2, "x_accuracy": 0.5, "x_nll": math.log(2), "x_confidence": 0.5, "x_ece": 0.0}
    )


def test_extreme_log_odds_overflow_nothing() -> None:
    told = preference_metrics([1e4, -1e4], "x")
    assert told["x_nll"] == pytest.approx(5e3)
    assert told["x_ece"] == pytest.approx(0.5)
    assert preference_metrics([], "x") == {}
