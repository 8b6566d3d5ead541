"""A round's pool: completions that were drawn unjudged, and their features where asked for."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from align_cli.errors import AlignError
from align_cli.loop.context import Loop
from align_cli.loop.generation import Models
from align_cli.model.features import hidden_features
from align_cli.rows import Completion, Draw, Features, Prompt
from align_cli.store import fingerprint
from align_cli.store.cost import measured
from align_cli.store.stage import Stage

Key = tuple[str, int]
"""(prompt id, index)"""


@dataclass
class Pool:
    """What was drawn and not judged; a row that is judged later stays in it."""

    rows: dict[Key, Completion] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)
    features: dict[Key, tuple[float, ...]] = field(default_factory=dict)
    feature_stages: dict[str, Stage] = field(default_factory=dict)

    def add(self, name: str, stage: Stage) -> None:
        """The completions of one stage."""
        self.stages[name] = stage
        found = stage.read_all("completions", Completion)
        self.rows |= {(row.prompt_id, row.index): row for row in found}


def check_chosen(loop: Loop, draw: Draw, before: Draw) -> None:
    """What is to be judged out of the pool is what was drawn for it."""
    if before.judge or replace(before, judge=True) != draw:
        raise AlignError(
            f"sampler {loop.parts['sampler'].target} asked for {draw.prompt_id}/{draw.index} "
            "again; only a draw of the pool (judge=False) may be asked for again, as it was but "
            "for judge=True"
        )


def chosen_stage(loop: Loop, pool: Pool, draws: Sequence[Draw]) -> Stage:
    """The stage that holds the pool's completions of these draws; nothing is drawn for it."""
    keys = [(draw.prompt_id, draw.index) for draw in draws]

    def work(stage: Stage) -> None:
        with measured() as cost:
            rows = [pool.rows[key] for key in keys]
        stage.write("completions-00000", rows, Completion, cost)
        stage.finish(rows_in=len(pool.rows), rows_out=len(rows))

    facts = {
        "pool": [stage.record.content for stage in pool.stages.values()],
        "chosen": fingerprint.of_value(keys),
    }
    return loop.make("completions", facts, work)


def add_features(
    loop: Loop, pool: Pool, name: str, prompts: Mapping[str, Prompt], models: Models, title: str
) -> None:
    """Features of one stage of the pool, under the policy that draws in this round."""
    stage = features_of(loop, pool.stages[name], prompts, models, title)
    pool.feature_stages[name] = stage
    rows = stage.read_all("features", Features)
    pool.features |= {(row.prompt_id, row.index): row.vector for row in rows}


def features_of(
    loop: Loop, drawn: Stage, prompts: Mapping[str, Prompt], models: Models, title: str
) -> Stage:
    """The stage with one vector per completion."""
    settings = loop.parts["sampler"].loop_settings
    which, target = settings["features_of"], settings["embedding_target"]
    facts: dict[str, Any] = {
        "completions": drawn.record.content,
        "of": which,
        "code": fingerprint.of_code(target or "align_cli.model.features.hidden_features"),
        "target": target,
        "policy": None if which == "embedding" else models.content("current"),
        "versions": dict(loop.versions),
    }

    def work(stage: Stage) -> None:
        rows = drawn.read_all("completions", Completion)
        loop.reporter.begin(title, total=len(rows), unit="completions")
        with measured() as cost:
            if which == "embedding":
                vectors = _embedded(target, rows, prompts)
            else:
                model = models.of("current")
                asked = [model.encode_prompt(prompts[row.prompt_id].messages) for row in rows]
                answers = [row.token_ids for row in rows]
                vectors = hidden_features(model, asked, answers, cost, which=which)
        found = [
            Features(prompt_id=row.prompt_id, index=row.index, vector=vector)
            for row, vector in zip(rows, vectors, strict=True)
        ]
        stage.write("features-00000", found, Features, cost)
        stage.finish(rows_in=len(rows), rows_out=len(found))
        loop.reporter.advance(len(rows))
        loop.reporter.end("")

    return loop.make("features", facts, work)


def _embedded(
    target: str, rows: Sequence[Completion], prompts: Mapping[str, Prompt]
) -> list[tuple[float, ...]]:
    """What the user's function makes of (question, answer) texts, which it gets all at once."""
    module, _, name = target.rpartition(".")
    embed = getattr(importlib.import_module(module), name)
    questions = [prompts[row.prompt_id].messages[-1].content for row in rows]
    vectors = [tuple(map(float, v)) for v in embed(questions, [row.text for row in rows])]
    if len(vectors) != len(rows) or len({len(vector) for vector in vectors}) > 1:
        raise AlignError(
            f"sampler.embedding_target {target} gave {len(vectors)} vectors of "
            f"{sorted({len(v) for v in vectors})} numbers for {len(rows)} answers; wanted one for "
            "each, all of one length"
        )
    return vectors


def conclude_pool(
    loop: Loop, number: int, pool: Pool, inputs: Mapping[str, str], seconds: Mapping[str, float]
) -> dict[str, str]:
    """Show pool and features in the run folder; their contents, by name."""
    found: dict[str, str] = {}
    for place, stages in (("2_pool", pool.stages), ("2_features", pool.feature_stages)):
        if not stages:
            continue
        metrics = {f"{place.removeprefix('2_')}/completions": float(len(pool.rows))}
        if place == "2_features":
            metrics["features/dimensions"] = len(next(iter(pool.features.values())))
        loop.conclude(
            place,
            stages,
            round_number=number,
            metrics=metrics,
            inputs={**inputs, **found},
            seconds=seconds[place],
        )
        found |= {f"{place}_{name}": stage.record.content for name, stage in stages.items()}
    return found
