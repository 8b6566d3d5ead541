import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.train.curve import multiplier

CURVES = ["constant", "linear", "cosine"]
shares = st.floats(0, 0.9)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
    ],
)
def test_closed_forms(curve: str, expected: list[float]):
    found = [multiplier(curve, quarter / 4) for quarter in range(5)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("curve", CURVES)
@given(progress=st.floats(0, 1), warmup_share=shares)
def test_always_a_share_of_the_peak(curve: str, progress: float, warmup_share: float):
    assert 0 <= multiplier(curve, progress, warmup_share=warmup_share) <= 1


@pytest.mark.parametrize("curve", CURVES)
@given(x=st.floats(0, 1), warmup_share=st.floats(0.01, 0.9))
def test_warm_up_climbs_straight_to_the_peak_and_the_curve_follows(
    curve: str, x: float, warmup_share: float
):
    climbing = multiplier(curve, 0.999 * x * warmup_share, warmup_share=warmup_share)
    assert climbing == pytest.approx(0.999 * x)
    after = min(1.0, warmup_share + x * (1 - warmup_share))
    found = multiplier(curve, after, warmup_share=warmup_share)
    assert found == pytest.approx(multiplier(curve, x), abs=1e-9)


@pytest.mark.parametrize(("progress", "warmup_share"), [(-0.1, 0.0), (1.1, 0.0), (0.5, 1.0)])
def test_out_of_range(progress: float, warmup_share: float):
    with pytest.raises(ValueError, match="in \\[0, 1"):
        multiplier("linear", progress, warmup_share=warmup_share)
