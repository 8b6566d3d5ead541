from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_rows import asked, judged
from sampler_settings import settings_of

from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Gate, Judged, Message
from align_cli.sampler.pace import pace

settings = partial(settings_of, "pace")


def corrected_attempts(attempts: list[Judged], **changed: Any) -> list[int | None]:
    return [draw.corrects for draw in pace([asked()], attempts, **settings(**changed))]


def test_first_pass_explores():
    draws = pace([asked("a"), asked("b")], [], **settings())
    assert [(d.prompt_id, d.index, d.kind) for d in draws] == [
        ("a", 0, "natural"), ("a", 1, "natural"), ("b", 0, "natural"), ("b", 1, "natural")
    ]  # fmt: skip
    assert draws[0].messages == asked().messages
    assert draws[0].gate is None


@pytest.mark.parametrize(
    ("trigger", "rights", "corrects"),
    [
        ("all_wrong", (False, False), [0]),
        ("all_wrong", (True, False), []),
        ("all_wrong", (True, True), []),
        ("all_wrong", (None, False), []),
        ("all_wrong", (None, None), []),
        ("any_wrong", (False, False), [0]),
        ("any_wrong", (True, False), [1]),
        ("any_wrong", (True, True), []),
        ("any_wrong", (None, False), [1]),
        ("any_wrong", (None, None), []),
        ("any_wrong", (True, None), []),
    ],
)
def test_trigger(trigger: str, rights: tuple[bool | None, ...], corrects: list[int]):
    attempts = [judged(index, right) for index, right in enumerate(rights)]
    assert corrected_attempts(attempts, trigger=trigger) == corrects


@pytest.mark.parametrize(
    ("attempt", "corrects"), [("first", 1), ("last", 4), ("shortest", 3), ("longest", 1)]
)
def test_which_attempt(attempt: str, corrects: int):
    lengths = {1: 9, 2: 5, 3: 2, 4: 9}
    attempts = [judged(0, True, length=1)]
    attempts += [judged(index, False, length=length) for index, length in lengths.items()]
    chosen = corrected_attempts(
        attempts[::-1], trigger="any_wrong", attempt=attempt, explore=len(attempts)
    )
    assert chosen == [corrects]


@pytest.mark.parametrize(
    ("hint", "request_text"),
    [("gold", r"It is \frac{1}{2}, \boxed{}."), ("none", "Once more.")],
)
def test_a_correction_continues_the_failed_attempt(hint: str, request_text: str):
    prompt = asked(gold=r"\frac{1}{2}")
    attempts = [judged(0, False, text="7+8=14"), judged(1, False)]
    (draw,) = pace(
        [prompt],
        attempts,
        **settings(hint=hint, hint_text=r"It is {gold}, \boxed{}.", retry_text="Once more."),
    )
    assert draw.messages == (
        *prompt.messages,
        Message("assistant", "7+8=14"),
        Message("user", request_text),
    )
    assert (draw.index, draw.kind, draw.corrects) == (2, "corrected", 0)


def test_the_gate_rides_on_corrections():
    attempts = [judged(0, False), judged(1, False)]
    (draw,) = pace(
        [asked()],
        attempts,
        **settings(
            require_right=False,
            require_stop=False,
            answer_marker="#",
            leak_phrases=("x",),
            min_length_ratio=0.25,
            max_length_ratio=4.0,
            min_mean_logp=-2.0,
        ),
    )
    assert draw.gate == Gate(
        right=False,
        stops=False,
        answer_marker="#",
        leak_phrases=("x",),
        min_length_ratio=0.25,
        max_length_ratio=4.0,
        min_mean_logp=-2.0,
    )


def test_no_gold_no_hint_no_correction():
    attempts = [judged(0, False), judged(1, False)]
    assert pace([asked(gold=None)], attempts, **settings(hint="gold")) == []
    assert len(pace([asked(gold=None)], attempts, **settings(hint="none"))) == 1


def test_a_grading_verifier_is_refused():
    with pytest.raises(AlignError, match="pace needs a verifier that says right or wrong"):
        pace([asked()], [judged(0, None, score=0.3), judged(1, False)], **settings())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hint_text": "Correct it."}, "no {gold}"),
        ({"hint": "none", "retry_text": "It is {gold}."}, "asks for {gold}"),
        ({"min_length_ratio": 2.0, "max_length_ratio": 1.0}, "2.0 is above .* 1.0"),
        ({"answer_marker": ""}, "empty text"),
        ({"leak_phrases": ("",)}, "empty text"),
    ],
)
def test_contradictory_settings_are_refused_before_anything_is_drawn(
    changed: dict[str, Any], message: str
):
    with pytest.raises(ConfigError, match=message):
        pace([asked()], [], **settings(**changed))


@given(
    rights=st.lists(st.lists(st.sampled_from([True, False, None]), min_size=2, max_size=2)),
    trigger=st.sampled_from(["all_wrong", "any_wrong"]),
    correction=st.sampled_from([True, False, None]),
)
def test_a_round_ends_after_one_correction_at_most_and_indices_are_dense(
    rights: list[list[bool | None]], trigger: str, correction: bool | None
):
    prompts = [asked(str(number)) for number in range(len(rights))]
    seen: list[Judged] = []
    passes = []
    while draws := pace(prompts, seen, **settings(trigger=trigger)):
        passes.append(draws)
        assert len(passes) <= 2
        for draw in draws:
            outcome = (rights[int(draw.prompt_id)] + [correction])[draw.index]
            seen.append(
                judged(draw.index, outcome, prompt_id=draw.prompt_id, corrects=draw.corrects)
            )
    for number, two in enumerate(rights):
        indices = [one.completion.index for one in seen if one.completion.prompt_id == str(number)]
        triggered = two == [False, False] if trigger == "all_wrong" else False in two
        assert indices == list(range(2 + triggered))
