"""The commands of docs/lab.md compose, and what it lists is there."""

import re
import shlex
from pathlib import Path

import pytest

from align_cli.config.catalogue import choices
from align_cli.config.compose import compose
from align_cli.config.rehearsal import rehearse

PAGE = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^align run (.+)$", PAGE, re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_composes(words: str) -> None:
    config = compose(shlex.split(words))
    assert config.choices["evaluation"] == "exact"
    rehearse(config)


def test_every_part_named_is_a_choice() -> None:
    group = ""
    rows = re.findall(r"^\| (\w*) ?\| `(\w+)` \| ", PAGE, re.MULTILINE)
    assert len(rows) >= 13
    for named, choice in rows:
        group = named or group
        assert choice in {each.name for each in choices(group)}, (group, choice)
