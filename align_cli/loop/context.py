"""What every stage of a run has at hand: its components, its folders, and who is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from align_cli.model.language_model import LanguageModel
from align_cli.report.reporter import Reporter
from align_cli.schedule.plan import Plan
from align_cli.store import fingerprint
from align_cli.store.journal import Journal
from align_cli.store.run_folder import RunFolder, record_facts, round_name
from align_cli.store.stage import Record, Stage, Store
from align_cli.tracker.interface import StageArtifact, StageKind, Tracker


@dataclass(frozen=True)
class PolicyRef:
    """A checkpoint: a transformers folder and the fingerprint of its bytes."""

    folder: Path
    content: str


@dataclass(frozen=True)
class Part:
    """One component of the run: callable, with what a stage made by it depends on."""

    call: Callable[..., Any]
    target: str
    needs: frozenset[str]
    settings: Mapping[str, Any]
    loop_settings: Mapping[str, Any]
    unit: str = ""
    """Pairs or groups, or what a verifier judges: see config/units.py; empty for others."""
    leans_on: Mapping[str, Any] = field(default_factory=dict)
    """{name: what it is made from} of other components that it calls."""

    def __call__(self, **offer: Any) -> Any:
        """Call the component with everything on offer; it takes its share."""
        return self.call(**offer)

    @cached_property
    def made_from(self) -> dict[str, Any]:
        """Name, settings and code: a change in any of them makes other work."""
        facts = {"target": self.target, "settings": dict(self.settings)}
        named = {
            name: fingerprint.of_code(value)
            for name, value in self.settings.items()
            if name.endswith("_target") and value is not None
        }
        code = fingerprint.of_code(self.target)
        return {**facts, "code": code, **named, **self.leans_on}


@dataclass
class Loop:
    """One run in progress."""

    name: str
    seed: int
    parts: Mapping[str, Part]
    schedule: Plan | None
    """None where nothing is scheduled: a warm start has no rounds."""
    store: Store
    folder: RunFolder
    journal: Journal
    tracker: Tracker
    reporter: Reporter
    device: str
    versions: Mapping[str, str]
    """Of the libraries whose arithmetic the rows depend on."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """{content fingerprint: place}, for naming a stage's inputs."""
    spent_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan of the rounds."""
        assert self.schedule is not None, "this command has no rounds"
        return self.schedule

    def load(self, policy: PolicyRef) -> LanguageModel:
        """A checkpoint in memory, on the run's device."""
        return LanguageModel.load(policy.folder, device=self.device)

    def make(
        self, kind: StageKind, made_from: Mapping[str, Any], work: Callable[[Stage], None]
    ) -> Stage:
        """The stage of this kind made from this: found in the store, or made by `work`."""
        stage = self.store.stage(kind, {"kind": kind, **made_from})
        with stage.making():
            if not stage.complete:
                work(stage)
        return stage

    def conclude(
        self,
        place: str,
        stages: Mapping[str, Stage],
        *,
        round_number: int | None,
        metrics: Mapping[str, float],
        inputs: Mapping[str, str],
        seconds: float,
    ) -> None:
        """Show finished stages in the run folder, journal their numbers, tell the tracker.

        Several stages at one place (the passes of a sampler) lie in a folder by name.
        """
        where = f"{round_name(round_number)}/{place}"
        self.renew(place, stages, round_number=round_number)
        records = {name: stage.record for name, stage in stages.items()}
        for name, stage in stages.items():
            self.folder.link(where if name == place else f"{where}/{name}", stage)
        shared = not any(stage.made_here[0] for stage in stages.values())
        self.folder.note(where, record_facts(records, shared=shared))
        # The note remembers the first account: a resumed run did make this stage itself.
        shared = bool((self.folder.facts(where) or {}).get("shared", shared))
        costs = {f"cost/{key}": value for key, value in _sum_costs(records).items()}
        lines = {**metrics, **costs, "time/seconds": seconds, "time/shared": float(shared)}
        self.journal.append(lines, round_number=round_number, stage=place)
        self.spent_seconds[place] = self.spent_seconds.get(place, 0.0) + seconds
        made_from = list(inputs.values())
        for name, record in records.items():
            full = where if name == place else f"{where}/{name}"
            self.artifacts[record.content] = full
            self._tell_tracker(full, stages[name], record, tuple(made_from))
            # What lies at one place was made in this order, each from those before it.
            made_from.append(record.content)

    def renew(self, place: str, stages: Mapping[str, Stage], *, round_number: int | None) -> None:
        """Drop what the folder tells of `place` if it tells of other work than these stages.

        That is so where a run goes on after its code, its sources or a library have changed.
        """
        where = f"{round_name(round_number)}/{place}"
        facts = self.folder.facts(where)
        wanted = {name: stage.fingerprint for name, stage in stages.items()}
        if facts is None or wanted == {n: f["fingerprint"] for n, f in facts["stages"].items()}:
            return
        self.reporter.say(f"{where} is made again: code, source files or libraries have changed")
        self.folder.forget(where)
        self.journal.forget(round_number, place)

    def _tell_tracker(
        self, name: str, stage: Stage, record: Record, inputs: tuple[str, ...]
    ) -> None:
        self.tracker.artifact(
            StageArtifact(
                name=name,
                kind=cast(StageKind, stage.kind),
                fingerprint=record.content,
                folder=stage.folder,
                rows=record.rows_out,
                inputs=inputs,
                metadata={"made_from": record.fingerprint, "cost": dict(record.cost)},
            )
        )


def _sum_costs(records: Mapping[str, Record]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for record in records.values():
        for key, value in record.cost.items():
            before = totals.get(key, 0)
            totals[key] = max(before, value) if key == "peak_bytes" else before + value
    return totals
