"""What a run has to say in a comparison: scores by prompt and cost so far, round by round."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from align_cli.errors import AlignError, CorruptStage
from align_cli.report.result import Lines, RunResult, read_result
from align_cli.rows import Prompt, Score
from align_cli.store.run_folder import IDENTITY, round_name
from align_cli.store.stage import Stage

COSTS = ("generated_tokens", "total_flops", "seconds")
NOT_OF_THE_METHOD = ("6_scores", "run", "eval", "sft", "train-rm")
"""Examining a policy is the experimenter's cost; the method would cost the same without it."""


@dataclass(frozen=True)
class Point:
    """One scored policy of a run."""

    round: int | None
    """None is the policy before training."""
    scores: Mapping[str, Score]
    """{prompt id: score}"""
    cost: Mapping[str, float]
    """{axis: all that was spent up to this policy}, shared stages at what they cost when made."""


@dataclass(frozen=True)
class RunEvidence:
    """Everything of one run that a comparison reads."""

    name: str
    folder: Path
    seed: int
    identity: Mapping[str, Any]
    """Every setting that defines the science, flat, the seed among them."""
    choices: Mapping[str, str]
    """{group: name of the chosen yaml}"""
    environment: Mapping[str, Any]
    points: tuple[Point, ...]
    rounds_wanted: int | None
    complete: bool
    shared: tuple[str, ...]
    """Places of stages that other runs had made already."""
    gold: Mapping[str, str | None]
    """{held-out prompt id: reference answer}"""
    judge_code: str
    """Fingerprint of the code that judged the last policy."""

    @property
    def last(self) -> Point:
        """The policy that the run ended with."""
        return self.points[-1]


def read_run(folder: Path) -> RunEvidence:
    """Read a run folder; what is not there yet is left out, what is damaged is said."""
    result = read_result(folder)
    identity = _json(folder / IDENTITY)
    points = tuple(_points(folder, result))
    return RunEvidence(
        name=folder.resolve().name,
        folder=folder,
        seed=int(identity["seed"]),
        identity=identity,
        choices=_choices(folder),
        environment=_json(folder / "environment.json"),
        points=points,
        rounds_wanted=identity.get("schedule.rounds"),
        complete="run" in result.start,
        shared=tuple(result.shared()),
        gold={p.id: p.gold for p in _stage(folder, "start/1_prompts").read_all("prompts", Prompt)}
        if points
        else {},
        judge_code=_judge_code(folder, points[-1].round) if points else "",
    )


def _points(folder: Path, result: RunResult) -> list[Point]:
    """Scored policies in order, up to the first that has no scores."""
    spent = dict.fromkeys(COSTS, 0.0)
    points = []
    steps: list[tuple[int | None, Lines]] = [(None, result.start), *result.rounds.items()]
    for number, lines in steps:
        for stage, metrics in lines.items():
            # What lies in `start` is made once for all methods: a policy, and the examination.
            if number is not None and stage not in NOT_OF_THE_METHOD:
                for axis, amount in _cost(metrics).items():
                    spent[axis] += amount
        place = f"{round_name(number)}/6_scores"
        if "6_scores" not in lines or not (folder / f"{place}.json").is_file():
            break
        rows = _stage(folder, f"{place}/scores").read_all("scores", Score)
        points.append(Point(number, {row.prompt_id: row for row in rows}, dict(spent)))
    return points


def _cost(metrics: Mapping[str, float]) -> dict[str, float]:
    return {
        "generated_tokens": metrics.get("cost/generated_tokens", 0.0),
        "total_flops": metrics.get("cost/forward_flops", 0.0)
        + metrics.get("cost/backward_flops", 0.0),
        "seconds": metrics.get("cost/wall_seconds", 0.0),
    }


def _stage(folder: Path, place: str) -> Stage:
    """The stored stage that a run's link leads to."""
    here = (folder / place).resolve()
    if not here.is_dir():
        raise CorruptStage(
            f"{folder / place} leads nowhere: the stage is gone from the store, or the run was "
            "copied without it; the same command that made the run makes it again"
        )
    return Stage(here, kind=here.parent.name, made_from={})


def _judge_code(folder: Path, number: int | None) -> str:
    place = f"{round_name(number)}/6_scores"
    if not (folder / place / "labels").exists():
        # An exact evaluation asks no verifier.
        return str(_stage(folder, f"{place}/scores").record.made_from["evaluation"]["code"])
    return str(_stage(folder, f"{place}/labels").record.made_from["verifier"]["code"])


def _choices(folder: Path) -> dict[str, str]:
    """Which yaml of each group the run chose; it stands in the defaults list of its config."""
    try:
        lines = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise AlignError(f"{folder / 'config.yaml'} cannot be read: {error}") from error
    chosen: dict[str, str] = {}
    for entry in lines.get("defaults", []):
        chosen.update({str(k): str(v) for k, v in entry.items()} if isinstance(entry, dict) else {})
    return chosen


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise AlignError(f"{file} cannot be read ({error}); is this a run folder?") from error
