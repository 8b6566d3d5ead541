from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import asked, judged
from sampler_settings import played, settings_of

from align_cli.errors import AlignError
from align_cli.pairing.first_right_first_wrong import first_right_first_wrong
from align_cli.rows import Message
from align_cli.sampler.pace import pace
from align_cli.sampler.self_correct import self_correct

PROMPT = asked("a")


def chain(rights: list[bool | None], **changed: Any) -> list[Any]:
    draws, _ = played(
        self_correct,
        [PROMPT],
        lambda draw: rights[draw.index],
        settings_of("self_correct", **changed),
    )
    return draws


@pytest.mark.parametrize(
    ("rights", "wanted"),
    [
        ([True], 0),
        ([None], 0),
        ([False, True], 1),
        ([False, None], 1),
        ([False, False, True], 2),
        ([False, False, False, False], 3),
    ],
)
def test_corrections_go_on_while_the_last_is_wrong_up_to_the_steps(
    rights: list[bool | None], wanted: int
) -> None:
    draws = chain(rights, steps=3)
    assert [draw.kind for draw in draws] == ["natural"] + ["corrected"] * wanted
    assert [draw.corrects for draw in draws[1:]] == [0] * wanted
    assert all(draw.gate is not None for draw in draws[1:])


@pytest.mark.parametrize(
    ("shows", "texts"),
    [("last", ["a/2", "Again."]), ("all", ["a/0", "Again.", "a/1", "Again.", "a/2", "Again."])],
)
def test_what_a_later_step_is_shown(shows: str, texts: list[str]) -> None:
    draws = chain([False] * 4, steps=3, shows=shows, hint="none", retry_text="Again.")
    roles = ("assistant", "user")
    turns = [Message(roles[place % 2], text) for place, text in enumerate(texts)]
    assert draws[3].messages == (*PROMPT.messages, *turns)


def test_a_hint_shows_the_gold_at_every_step() -> None:
    draws = chain([False] * 3, steps=2, hint="gold", hint_text="It is {gold}.")
    assert [draw.messages[-1].content for draw in draws[1:]] == ["It is 12."] * 2


def test_a_chain_starts_from_the_chosen_attempt_and_keeps_to_it() -> None:
    rights: list[bool | None] = [True, False, False, False, True]
    draws = chain(rights, explore=3, trigger="any_wrong", attempt="last", steps=5)
    assert [draw.corrects for draw in draws[3:]] == [2, 2]
    assert draws[4].messages[-2] == Message("assistant", "a/3")


def test_the_end_of_a_chain_is_paired_with_its_start() -> None:
    # The steps that stayed wrong are behind the gate: the rule sees the start and the end.
    start, end = judged(0, False), judged(2, True, corrects=0)
    [pair] = first_right_first_wrong([start, end], prefer="natural")
    assert (pair.chosen, pair.rejected, pair.kind) == (2, 0, "corrected")


def test_a_grading_verifier_is_refused() -> None:
    with pytest.raises(AlignError, match="self_correct needs a verifier that says right or wrong"):
        self_correct([asked()], [judged(0, None, score=0.3)], **settings_of("self_correct"))


@settings(deadline=None, max_examples=50)
@given(
    world=st.lists(st.lists(st.sampled_from([True, False, None]), min_size=3, max_size=3)),
    trigger=st.sampled_from(["all_wrong", "any_wrong"]),
    attempt=st.sampled_from(["first", "last", "shortest", "longest"]),
    hint=st.sampled_from(["gold", "none"]),
)
def test_one_step_is_pace(
    world: list[list[bool | None]], trigger: str, attempt: str, hint: str
) -> None:
    prompts = [asked(str(number)) for number in range(len(world))]
    chosen = {"trigger": trigger, "attempt": attempt, "hint": hint, "explore": 2}
    both = [
        played(sampler, prompts, lambda d: world[int(d.prompt_id)][d.index], all_settings)[0]
        for sampler, all_settings in (
            (pace, settings_of("pace", **chosen)),
            (self_correct, settings_of("self_correct", **chosen, steps=1)),
        )
    ]
    assert both[0] == both[1]
