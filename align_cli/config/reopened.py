"""Configurations that run folders keep, read without a look at conf/."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from align_cli.config.schema import Frozen, kind_of


def reopen(file: Path) -> Frozen:
    """The configuration that a run folder keeps."""
    lines = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    assert isinstance(lines, dict)
    choices: dict[str, Any] = {}
    for entry in lines.pop("defaults", []):
        choices.update(entry if isinstance(entry, dict) else {})
    kind = kind_of(str(key) for key in lines)
    return kind.from_values({str(key): value for key, value in lines.items()}, choices)
