"""A branch: a run that takes over the first rounds of another and goes on with other settings."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from align_cli.errors import ConfigError


@dataclass(frozen=True)
class Branch:
    """Where the first rounds of a run come from."""

    run: str
    """The other run's folder under the same `outputs`."""
    round: int
    """The first round that is this run's own; those before it are the other's."""
    settings: str
    """Six hex digits of the other run's settings without its seed."""


def read_branch(value: Any) -> Branch | None:
    """A configuration's `branch` node; None where there is none."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or value.keys() != {"run", "round", "settings"}:
        raise ConfigError(
            f"branch: got {value!r}; a run is branched by the word from=RUN@ROUND, which fills "
            "in {run, round, settings}"
        )
    return Branch(str(value["run"]), int(value["round"]), str(value["settings"]))


def digest_of(identity: Mapping[str, Any]) -> str:
    """Six hex digits of what defines a run."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]
