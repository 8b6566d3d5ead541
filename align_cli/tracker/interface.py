"""What a tracker is told: the run's facts, its numbers, each stage and what it was made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

StageKind = Literal[
    "prompts",
    "completions",
    "labels",
    "pairs",
    "policy",
    "scores",
    "reference",
    "demonstrations",
    "preferences",
    "reward_model",
    "features",
    "rubric",
]
WEIGHTS: frozenset[StageKind] = frozenset({"policy", "reward_model"})
"""Stages that hold weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a tracker knows of a run before it starts."""

    run_id: str
    """The same each time this run folder is started, so that a resumed run continues its record.
    Letters, digits, `-`, `_` and `.`, at most 64."""
    name: str
    group: str | None
    """The sweep that this run is a cell of; None outside a sweep."""
    folder: Path
    config: Mapping[str, Any]
    """The resolved configuration, nested."""
    metric_rows: int = 0
    """Rows of metrics that earlier starts of this run recorded; the history goes on from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageArtifact:
    """A finished stage: its files, and what they were made from.

    Example:
        StageArtifact(name="round_00/3_labels", kind="labels", fingerprint="9f2c...", rows=3072,
                      folder=Path("outputs/dpo/round_00/3_labels"),
                      inputs=("round_00/1_prompts", "round_00/2_completions"))
    """

    name: str
    """Where it lies in the run folder, e.g. `round_00/2_completions`."""
    kind: StageKind
    fingerprint: str
    folder: Path
    """A folder, or the one file that the stage consists of; never changed once it is whole."""
    rows: int | None
    """None for stages that are not rows."""
    inputs: tuple[str, ...] = ()
    """The stages it was made from, each by name or by fingerprint."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class TrackerWarning(UserWarning):
    """Tracking is worse off than asked for; the run is not."""


@runtime_checkable
class Tracker(Protocol):
    """Where numbers and stages go besides the run folder; it never stops or delays a run."""

    @property
    def where(self) -> str:
        """Where to look, for people: an address, or the command that makes one; may be empty."""

    def metrics(
        self, values: Mapping[str, float], *, round_number: int | None, step: int | None
    ) -> None:
        """One row of numbers; `step` counts optimiser steps since the run began."""

    def artifact(self, stage: StageArtifact) -> None:
        """A stage that is whole."""

    def summary(self, values: Mapping[str, float]) -> None:
        """Numbers of the run as a whole."""

    def finish(self, exit_code: int) -> None:
        """The run has ended; 0 is success. Nothing may follow."""
