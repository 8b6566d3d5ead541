"""Completion leans on a private function of Hydra's; this is its guard."""

import pytest

from align_cli.config.completion import complete


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("lo", {"loss.", "loss="}),
        ("loss=", {"loss=dpo", "loss=squaredpo"}),
        ("loss=sq", {"loss=squaredpo"}),
        ("loss.b", {"loss.beta="}),
        ("sampler=p", {"sampler=pace"}),
        ("see", {"seed="}),
        ("nothing_like_it", set()),
    ],
)
def test_words_complete(typed: str, offered: set[str]) -> None:
    assert offered <= set(complete(typed))
    assert all(word.startswith(typed) for word in complete(typed))
    if not offered:
        assert complete(typed) == []


def test_hydras_own_keys_are_kept_out() -> None:
    assert complete("") != []
    assert not any(word.startswith("hydra") for word in complete(""))
