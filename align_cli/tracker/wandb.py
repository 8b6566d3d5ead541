"""Weights & Biases: numbers as curves, stages as artifacts with their lineage."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from align_cli.tracker.background import Background
from align_cli.tracker.interface import RunFacts, StageArtifact, Tracker
from align_cli.tracker.none import none
from align_cli.tracker.wandb_artifact import StageLog
from align_cli.tracker.wandb_start import Place, start, warn

if TYPE_CHECKING:
    from wandb import Run

STEP = "train/step"
ROUND = "round"
MARGIN_S = 5.0
"""The client's own timeout comes first; this much more is for it to end in good order."""


def wandb(
    run: RunFacts,
    *,
    project: str,
    entity: str | None,
    mode: Literal["auto", "online", "offline"],
    group: str | None,
    tags: tuple[str, ...],
    weights: Literal["reference", "upload"],
    start_timeout: Annotated[float, "> 0", "s"],
    finish_timeout: Annotated[float, "> 0", "s"],
) -> Tracker:
    """Track to Weights & Biases, which can neither stop a run nor hold it up.

    Curves: `train/*` against the optimiser step, everything else against the round. Artifacts:
    `KIND-RUN_ID`, one version a stage, with the stages each was made from in `metadata.inputs`.
    Whatever W&B raises becomes one warning, and tracking ends there; the run does not.

    Settings:
        project, entity: where runs go; entity null is the account's default.
        mode: auto is online where credentials exist and offline where not; WANDB_MODE and
            `wandb offline` are heeded. Never asks for anything.
        group: null is the sweep's name, for a cell of a sweep.
        tags: labels of the run.
        weights: of policies, `reference` records where they lie, `upload` sends them.
        start_timeout: wait for the server at most so long, then record offline [s].
        finish_timeout: wait for the rest to be uploaded at most so long [s].
    """
    place = Place(
        project=project,
        entity=entity,
        group=group if group is not None else run.group,
        tags=tags,
        start_timeout=start_timeout,
        finish_timeout=finish_timeout,
    )
    started = start(run, mode, place)
    if started is None:
        return none(run)
    return WandbTracker(started, run, weights, finish_timeout)


class WandbTracker:
    """Passes on to a W&B run, in order and from a thread of its own."""

    def __init__(
        self,
        started: "Run",
        facts: RunFacts,
        weights: Literal["reference", "upload"],
        finish_timeout: float,
    ) -> None:
        self._run = started
        self._stages = StageLog(started, facts.run_id, weights)
        self._finish_timeout = finish_timeout
        self._upload = f"wandb sync {Path(started.dir).parent}"
        self._row = facts.metric_rows
        self._axes: set[str] = set()
        self._background = Background()
        self._warned = False
        self._finished = False

    @property
    def where(self) -> str:
        """The run's page; offline, the command that uploads it."""
        return self._upload if self._run.offline else self._run.url or ""

    def metrics(
        self, values: Mapping[str, float], *, round_number: int | None, step: int | None
    ) -> None:
        """Log one row under an explicit history step.

        Explicit, because an offline run that is resumed would start at history step 0 again, and
        the server drops or mixes rows whose steps it has seen.
        """
        row = dict(values)
        if round_number is not None:
            row[ROUND] = round_number
        if step is not None:
            row[STEP] = step
        history_step = self._row
        self._row += 1

        def log() -> None:
            self._define_axes(row)
            self._run.log(row, step=history_step, commit=True)

        self._send(log)

    def artifact(self, stage: StageArtifact) -> None:
        """Log a stage with its inputs."""
        self._send(lambda: self._stages.log(stage))

    def summary(self, values: Mapping[str, float]) -> None:
        """Set numbers of the run as a whole, the columns of W&B's table of runs."""
        settled = dict(values)
        self._send(lambda: self._run.summary.update(settled))

    def finish(self, exit_code: int) -> None:
        """Hand over what is left, for at most the time allowed."""
        if self._finished:
            return
        self._finished = True
        last = partial(self._run.finish, exit_code=exit_code)
        in_time = self._background.close(last, self._finish_timeout + MARGIN_S)
        failure = self._background.failure
        if failure is not None or not in_time:
            reason = failure or f"not done within {self._finish_timeout:g} s"
            self._warn_once(f"incomplete ({reason}); `{self._upload}` uploads what is recorded")

    def _send(self, call: Callable[[], object]) -> None:
        if (failure := self._background.failure) is not None:
            self._warn_once(f"tracking ends here ({failure}); the run goes on")
        elif not self._finished:
            self._background.submit(call)

    def _warn_once(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            warn(problem)

    def _define_axes(self, row: Mapping[str, float]) -> None:
        """Name each metric's x-axis when it first appears.

        By name and not by pattern: which of two matching patterns W&B takes is not documented.
        """
        for name in sorted(row.keys() - self._axes - {STEP, ROUND}):
            axis = STEP if name.startswith("train/") and STEP in row else ROUND
            if axis in row:
                self._run.define_metric(name, step_metric=axis, step_sync=False)
                self._axes.add(name)
