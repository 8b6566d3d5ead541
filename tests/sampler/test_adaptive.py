from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import asked, judged
from sampler_settings import played, settings_of

from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Draw
from align_cli.sampler.adaptive import adaptive
from align_cli.seeds import derive

VERDICTS: dict[str, list[bool | None]] = {
    "right": [True] * 99,
    "wrong": [False] * 99,
    "both": [True, False, True, True],
    "late": [False, False, False, True],
    "silent": [None] * 99,
    "silent once": [True, None, False, None],
}


def spent(**changed: Any) -> dict[str, int]:
    prompts = [asked(name) for name in VERDICTS]
    draws, _ = played(
        adaptive,
        prompts,
        lambda draw: VERDICTS[draw.prompt_id][draw.index],
        settings_of("adaptive", **changed),
    )
    counts = Counter(draw.prompt_id for draw in draws)
    return {name: counts[name] for name in VERDICTS}


def test_a_prompt_is_finished_with_a_right_and_a_wrong_or_at_the_budget() -> None:
    assert spent(n=5) == {
        "right": 5, "wrong": 5, "both": 2, "late": 4, "silent": 5, "silent once": 3
    }  # fmt: skip


def test_a_larger_step_may_overshoot_what_is_needed_but_never_the_budget() -> None:
    found = spent(n=5, first=1, step=3)
    assert found == {"right": 5, "wrong": 5, "both": 4, "late": 4, "silent": 5, "silent once": 4}


def test_a_mean_budget_is_spent_to_the_last_draw() -> None:
    assert sum(spent(n=50, mean_draws=3.5).values()) == 21
    prompts = [asked(f"{i}") for i in range(100)]
    chosen = settings_of("adaptive", first=1, mean_draws=1.15)
    # 1.15 is a little less in binary; a budget is what its digits say.
    draws, _ = played(adaptive, prompts, lambda draw: None, chosen)
    assert len(draws) == 115
    # Which prompts get the last 15 is not the order's to say.
    again, _ = played(adaptive, prompts[::-1], lambda draw: None, chosen)
    assert {(d.prompt_id, d.index) for d in again} == {(d.prompt_id, d.index) for d in draws}


def test_first_pass_is_a_prefix_of_independent_draws() -> None:
    draws = adaptive([asked("a"), asked("b")], [], **settings_of("adaptive", first=2))
    assert [(d.prompt_id, d.index, d.kind, d.author) for d in draws] == [
        (id, index, "natural", "current") for id in "ab" for index in range(2)
    ]
    assert all(draw.messages == asked().messages for draw in draws)


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 8), first=st.integers(1, 3), step=st.integers(1, 3),
    more=st.integers(0, 4), mean=st.one_of(st.none(), st.floats(0, 1)), world=st.integers(0, 99),
    order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_budgets_hold_and_the_order_of_prompts_decides_nothing(
    count: int, first: int, step: int, more: int, mean: float | None, world: int, order: Any
) -> None:
    n = first + more
    bound = None if mean is None else round(first + mean * more, 3)
    chosen = settings_of("adaptive", n=n, first=first, step=step, mean_draws=bound)

    def verdict(draw: Draw) -> bool | None:
        return (True, False, None)[derive(world, draw.prompt_id, draw.index) % 3]

    prompts = [asked(str(number)) for number in range(count)]
    draws, seen = played(adaptive, prompts, verdict, chosen)
    per_prompt = Counter(draw.prompt_id for draw in draws)
    assert all(first <= spent <= n for spent in per_prompt.values())
    assert bound is None or len(draws) <= bound * count + 1e-9
    unfinished = [
        id for id, spent in per_prompt.items()
        if spent < n and not {True, False}
        <= {one.label.right for one in seen if one.completion.prompt_id == id}
    ]  # fmt: skip
    if unfinished:
        assert bound is not None
        assert len(draws) + 1 > bound * count
    shuffled = list(prompts)
    order.shuffle(shuffled)
    again, _ = played(adaptive, shuffled, verdict, chosen)
    key = lambda draw: (draw.prompt_id, draw.index)  # noqa: E731
    assert sorted(again, key=key) == sorted(draws, key=key)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"first": 9, "n": 8}, "first 9 is above sampler.n 8"),
        ({"mean_draws": 1.5}, "mean_draws 1.5 is outside"),
        ({"mean_draws": 9.0}, "mean_draws 9.0 is outside"),
    ],
)
def test_contradictory_budgets_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        adaptive([asked()], [], **settings_of("adaptive", **changed))


def test_a_grading_verifier_is_refused() -> None:
    with pytest.raises(AlignError, match="adaptive needs a verifier that says right or wrong"):
        adaptive([asked()], [judged(0, None, score=0.3)], **settings_of("adaptive"))
