import pytest
from judged_rows import asked, judged
from sampler_settings import settings_of

from align_cli.errors import ConfigError
from align_cli.rows import Message, Prompt
from align_cli.sampler.contrast_modes import contrast_modes

SYSTEM = Prompt(
    id="b",
    messages=(Message("system", "Add."), Message("user", "7+8")),
    gold="15",
    source="test:1",
)


def test_modes_take_turns() -> None:
    draws = contrast_modes([asked("a")], [], **settings_of("contrast_modes", user_text=" /short"))
    own, alone = (Message("user", "7+8-3"),), (Message("user", "7+8-3 /short"),)
    assert [(d.index, d.messages) for d in draws] == [(0, own), (1, alone), (2, own), (3, alone)]
    assert {(d.kind, d.corrects, d.author) for d in draws} == {("natural", None, "current")}


def test_a_system_text_follows_the_system_message_or_becomes_one() -> None:
    chosen = settings_of("contrast_modes", n=2, user_text="", system_text="Be brief.")
    draws = contrast_modes([asked("a"), SYSTEM], [], **chosen)
    assert draws[1].messages == (Message("system", "Be brief."), Message("user", "7+8-3"))
    assert draws[3].messages == (Message("system", "Add.\n\nBe brief."), Message("user", "7+8"))
    assert draws[2].messages == SYSTEM.messages


def test_one_pass_only() -> None:
    assert contrast_modes([asked()], [judged(0, True)], **settings_of("contrast_modes")) == []


def test_a_smaller_n_asks_for_a_prefix_of_each_prompts_draws() -> None:
    small, large = (
        contrast_modes([asked()], [], **settings_of("contrast_modes", n=n)) for n in (3, 8)
    )
    assert small == large[:3]


def test_no_text_is_no_second_mode() -> None:
    with pytest.raises(ConfigError, match="are empty"):
        contrast_modes([asked()], [], **settings_of("contrast_modes", user_text=""))
