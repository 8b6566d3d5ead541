from collections import Counter
from typing import Any

import pytest
from judged_rows import asked
from sampler_settings import played, settings_of

from align_cli.sampler.pace import pace
from align_cli.sampler.rejection import rejection

VERDICTS: dict[str, list[bool | None]] = {
    "right": [True] * 9,
    "wrong": [False] * 9,
    "third": [False, None, True, True, True],
    "silent": [None] * 9,
}


def spent(**changed: Any) -> dict[str, int]:
    draws, _ = played(
        rejection,
        [asked(name) for name in VERDICTS],
        lambda draw: VERDICTS[draw.prompt_id][draw.index],
        settings_of("rejection", **changed),
    )
    return dict(Counter(draw.prompt_id for draw in draws))


@pytest.mark.parametrize(
    ("right", "wanted"),
    [
        (1, {"right": 1, "wrong": 6, "third": 3, "silent": 6}),
        (2, {"right": 2, "wrong": 6, "third": 4, "silent": 6}),
    ],
)
def test_draws_until_enough_are_right_or_at_the_budget(right: int, wanted: dict[str, int]) -> None:
    assert spent(right=right, first=1, n=6) == wanted


def test_a_mean_budget_goes_to_the_prompts_with_the_fewest_draws() -> None:
    assert spent(first=1, n=6, mean_draws=2.75) == {"right": 1, "wrong": 3, "third": 3, "silent": 4}


def test_it_spends_what_pace_spends_on_plain_attempts() -> None:
    worlds = {"a": [False, False, True], "b": [False, True], "c": [True, False], "d": [False] * 3}
    prompts = [asked(name) for name in worlds]
    same = {"first": 2, "step": 1, "n": 3, "right": 1}
    plain, _ = played(
        rejection, prompts, lambda d: worlds[d.prompt_id][d.index], settings_of("rejection", **same)
    )
    corrected, _ = played(
        pace, prompts, lambda d: worlds[d.prompt_id][d.index], settings_of("pace")
    )
    keys = [(draw.prompt_id, draw.index) for draw in corrected]
    assert [(draw.prompt_id, draw.index) for draw in plain] == keys
    assert {draw.kind for draw in plain} == {"natural"}
