"""Starting a W&B run: which mode, with what said and collected, and what if it does not start."""

import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from align_cli.tracker.background import Boundary
from align_cli.tracker.interface import RunFacts, TrackerWarning

if TYPE_CHECKING:
    from wandb import Run, Settings

Mode = Literal["auto", "online", "offline"]
Resolved = Literal["online", "offline", "disabled"]

# Error reports of the client go to its vendor, offline too (a DNS query at least), and at the end
# of a process they wait 20 s for a server that does not answer. Must be set before the import.
NO_REPORTS = {"WANDB_ERROR_REPORTING": "false"}


def start(
    run: RunFacts, mode: Mode, options: Mapping[str, Any], timeouts: Mapping[str, float]
) -> "Run | None":
    """A W&B run that goes on from earlier starts; offline if online fails; None if neither."""
    for name, value in NO_REPORTS.items():
        os.environ.setdefault(name, value)
    boundary = Boundary()
    with boundary:
        resolved = resolve(mode)
        if resolved == "disabled":
            return None
        if resolved == "online":
            return _init(run, "online", options, timeouts)
        return _init(run, "offline", options, timeouts)
    _warn(f"cannot start online ({reason(boundary.failure)}); recording offline")
    with (second := Boundary()):
        _forget_failed_start()
        return _init(run, "offline", options, timeouts)
    _warn(f"cannot start at all ({reason(second.failure)}); the run goes on without W&B")
    return None


def resolve(mode: Mode) -> Resolved:
    """Settle `auto`: WANDB_MODE or `wandb offline` decide, else whether credentials exist."""
    if mode == "offline" or (mode == "auto" and os.environ.get("WANDB_MODE") == "offline"):
        return "offline"
    import wandb

    settings = wandb.setup(wandb.Settings(silent=True)).settings
    wish = settings.mode
