from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import asked, judged
from sampler_settings import settings_of

from align_cli.errors import ConfigError
from align_cli.sampler.directional import directional, near, stated


def texts(prompt_id: str = "a", **changed: Any) -> list[str]:
    draws = directional([asked(prompt_id)], [], **settings_of("directional", **changed))
    return [draw.messages[-1].content for draw in draws]


def test_the_first_draw_states_the_target_and_the_others_their_own() -> None:
    found = texts(target=(3.0, 4.0), user_text=" ({direction})")
    assert found[0] == "7+8-3 (helpfulness 0.60, brevity 0.80)"
    assert len(set(found)) == 5


def test_prompt_and_index_decide_a_direction() -> None:
    assert texts() == texts()
    assert texts()[1:] != texts("b")[1:]
    assert texts(n=2) == texts(n=9)[:2]
    assert texts(include_target=False)[1:] == texts()[1:]
    assert texts(include_target=False)[0] != texts()[0]


def test_no_width_states_the_target_alone() -> None:
    assert len(set(texts(theta_max=0.0))) == 1


@settings(deadline=None, max_examples=50)
@given(size=st.integers(2, 6), theta_max=st.floats(1.0, 180.0), seed=st.integers(0, 2**64 - 1))
def test_directions_are_unit_and_within_the_angle(size: int, theta_max: float, seed: int) -> None:
    v = np.ones(size) / np.sqrt(size)
    found = near(v, theta_max, seed)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert np.degrees(np.arccos(np.clip(found @ v, -1, 1))) <= theta_max + 1e-4


def test_with_two_attributes_the_angle_is_uniform_on_both_sides() -> None:
    v = np.array([1.0, 0.0])
    found = np.array([near(v, 30.0, seed) for seed in range(4000)])
    angles = np.degrees(np.arctan2(found[:, 1], found[:, 0]))
    # Standard error of a mean of 4000 angles uniform in +-30 degrees: 0.27 degrees.
    assert abs(angles.mean()) < 1.2
    assert np.quantile(angles, [0.25, 0.75]) == pytest.approx([-15, 15], abs=1.5)


def test_no_weight_is_minus_zero() -> None:
    assert stated(["a", "b"], np.array([-0.001, -0.126])) == "a 0.00, b -0.13"


def test_one_pass_only() -> None:
    assert directional([asked()], [judged(0, True)], **settings_of("directional")) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"user_text": ""}, "are empty"),
        ({"user_text": "Weigh."}, "no {direction}"),
        ({"attributes": ("a",), "target": (1.0,)}, "two or more"),
        ({"attributes": ("a", "a")}, "two or more"),
        ({"target": (1.0,)}, "1 weights for 2"),
        ({"target": (0.0, 0.0)}, "points nowhere"),
    ],
)
def test_what_states_no_direction_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        directional([asked()], [], **settings_of("directional", **changed))
