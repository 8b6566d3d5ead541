"""Every command of docs/reward_models.md is one that the configuration takes.

The first three are run, smaller, by tests/loop/test_judged_by_a_model.py; the page says when its
figures were measured.
"""

import re
import shlex
from pathlib import Path

import pytest

from align_cli.config.compose import jobs

PAGE = (Path(__file__).parents[1] / "docs" / "reward_models.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for text in re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in text.replace("\\\n", " ").splitlines()
    if line.strip()
]


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_composes(command: str) -> None:
    align, name, *words = shlex.split(command)
    assert align == "align"
    [job] = jobs(words, {"run": "config", "train-rm": "train_rm"}[name])
    assert job.config.bindings
