"""Reads what W&B has written to disk, with W&B's own reader of its transaction logs."""

import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.util import get_core_path


@dataclass
class Start:
    """What one start of a run has recorded; a resumed run has several."""

    run: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    axes: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    """The types of all records."""
    exit_code: int | None = None


def read_offline(folder: Path, *, ended: bool = True) -> list[Start]:
    """Every start recorded under `folder`/wandb, in order.

    With `ended`, waits for the end of each: a run's finish() returns before its file is flushed.
    """
    deadline = time.monotonic() + 10
    while True:
        starts = [_read(log) for log in sorted((folder / "wandb").glob("*/run-*.wandb"))]
        if not ended or all(start.exit_code is not None for start in starts):
            return starts
        assert time.monotonic() < deadline, f"a W&B run in {folder} has no end"
        time.sleep(0.05)


def _read(log: Path) -> Start:
    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json"]
    command += ["--run-file", str(log), str(log.parent.parent)]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    start = Start()
    for record in map(json.loads, lines):
        body = record[record["type"]]
        start.kinds.add(record["type"])
        match record["type"]:
            case "run":
                start.run = body
                start.config |= body["config"]["update"]
            case "history":
                start.history.append(body["item"])
            case "metric" if "step_metric" in body:
                start.axes[body["name"]] = body["step_metric"]
            case "summary":
                start.summary |= body["update"]
            case "artifact":
                start.artifacts.append(body | {"metadata": json.loads(body["metadata"])})
            case "exit":
                start.exit_code = body.get("exit_code", 0)
    return start
