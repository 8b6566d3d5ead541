"""Rounds that a branched run takes over: links, notes, numbers, and what later rounds need."""

import time
from dataclasses import dataclass

from align_cli.config.branch import Branch
from align_cli.errors import AlignError, StaleRun
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.labelling import labels_of
from align_cli.loop.plan_view import EXTRAPOLATED
from align_cli.loop.sampling import Sampled
from align_cli.loop.trail import STEPS, read_steps
from align_cli.loop.training_set import RoundData
from align_cli.report.result import read_result
from align_cli.rows import Completion, Judged, Prompt
from align_cli.store.run_folder import RunFolder, round_name
from align_cli.store.stage import Stage

OURS = ("cost/", "time/")
"""Journalled anew: what this run spent on a stage that it took over is next to nothing."""


@dataclass(frozen=True)
class TakenOver:
    """A finished round of another run."""

    trained: PolicyRef
    handed_on: PolicyRef
    data: RoundData


def taken_over(loop: Loop, branch: Branch | None) -> list[TakenOver]:
    """Every round that the run does not make itself, shown in its folder as if it had."""
    if branch is None:
        return []
    parent = RunFolder(loop.folder.path.parent / branch.run)
    lines = read_result(parent.path).rounds
    return [_round(loop, parent, number, list(lines[number])) for number in range(branch.round)]


def _round(loop: Loop, parent: RunFolder, number: int, places: list[str]) -> TakenOver:
    found: dict[str, dict[str, Stage]] = {}
    for place in places:
        found[place] = _stages(loop, parent, f"{round_name(number)}/{place}")
        _show(loop, parent, number, place, found[place])
    prompts = found["1_prompts"]["1_prompts"].read_all("prompts", Prompt)
    sampled = _sampled(found["2_completions"], found["3_labels"])
    [trained] = found["5_policy"].values()
    [handed_on] = found.get(EXTRAPOLATED, found["5_policy"]).values()
    [pairs] = found["4_pairs"].values()
    data = RoundData(number, {prompt.id: prompt for prompt in prompts}, sampled, pairs)
    return TakenOver(_policy(trained), _policy(handed_on), data)


def _stages(loop: Loop, parent: RunFolder, where: str) -> dict[str, Stage]:
    """The stored stages behind one place of the other run."""
    facts = parent.facts(where)
    if facts is None:
        raise AlignError(f"{parent.path / where}.json is gone; finish that run again first")
    own = loop.folder.facts(where)
    if own is not None and own["stages"] != facts["stages"]:
        raise StaleRun(
            f"{loop.folder.path / where} was taken over from {parent.path} as it was, and that run "
            "has been made again since (code, sources or libraries changed); give this run "
            "another name (name=...)"
        )
    found = {}
    for name, told in facts["stages"].items():
        folder = loop.store.root / told["kind"] / told["fingerprint"]
        stage = Stage(folder, told["kind"], {})
        if not stage.complete:
            raise AlignError(
                f"{folder} is gone, which {parent.path / where} is made of; run that run's words "
                "again, which makes it again"
            )
        found[name] = loop.store.stage(told["kind"], stage.record.made_from)
    return found


def _show(loop: Loop, parent: RunFolder, number: int, place: str, stages: dict[str, Stage]) -> None:
    started = time.perf_counter()
    told = read_result(parent.path).rounds[number][place]
    if place == "5_policy":
        for stage in stages.values():
            for step, metrics in read_steps(stage.folder / STEPS):
                loop.journal.append(metrics, round_number=number, stage=place, step=step)
    loop.conclude(
        place,
        stages,
        round_number=number,
        metrics={key: value for key, value in told.items() if not key.startswith(OURS)},
        inputs={},
        seconds=time.perf_counter() - started,
    )


def _sampled(completions: dict[str, Stage], labels: dict[str, Stage]) -> Sampled:
    last = labels_of(list(labels.values()))
    judged = [
        Judged(completion=row, label=last[row.prompt_id, row.index])
        for stage in completions.values()
        for row in stage.read_all("completions", Completion)
        if row.kind != "forced"
    ]
    return Sampled(judged, {}, completions, labels)


def _policy(stage: Stage) -> PolicyRef:
    return PolicyRef(stage.folder, stage.record.content)
