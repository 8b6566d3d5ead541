"""The rubric that a round is judged by, where the verifier's is written anew between rounds."""

import inspect
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

from align_cli.loop.context import Loop
from align_cli.loop.training_set import RoundData
from align_cli.rows import Rubric
from align_cli.store import fingerprint
from align_cli.store.cost import measured
from align_cli.store.stage import Stage
from align_cli.verifier.revise_rubric import revise_rubric

PLACE = "1_rubric"


def with_rubric(loop: Loop, number: int, history: Sequence[RoundData]) -> Loop:
    """The loop as this round's judge is: with its version of the rubric, if it asks for one.

    A version is made of the one before and of the labels of the rounds that it judged, so that it
    is found again whenever the run is started again, and shared by runs that agree so far.
    """
    verifier = loop.parts["verifier"]
    if "rubric" not in verifier.needs:
        return loop
    started = time.perf_counter()
    every = int(verifier.loop_settings["every"])
    rubric, stages = _first(loop)
    for upto in range(every, number + 1, every):
        rubric, stage = _revised(loop, rubric, history[upto - every : upto])
        stages.append(stage)
    if number % every == 0:
        if rubric.stands_because is not None:
            loop.reporter.say(
                f"round {number}: rubric v{rubric.version} stands: {rubric.stands_because[:200]}"
            )
        judged = history[max(0, number - every) : number]
        loop.conclude(
            PLACE,
            {PLACE: stages[-1]},
            round_number=number,
            metrics={
                "rubric/version": rubric.version,
                "rubric/words": len(rubric.text.split()),
                "rubric/revision_failed": float(rubric.stands_because is not None),
            },
            inputs={f"labels_{d.number}_{n}": s.record.content
                    for d in judged for n, s in d.sampled.labels.items()},
            seconds=time.perf_counter() - started,
        )  # fmt: skip
    call = partial(verifier.call, rubric=rubric)
    told = {"version": rubric.version, "text": rubric.text}
    judge = replace(verifier, call=call, leans_on={**verifier.leans_on, "rubric": told})
    return replace(loop, parts={**loop.parts, "verifier": judge})


def _first(loop: Loop) -> tuple[Rubric, list[Stage]]:
    rubric = Rubric(version=1, text=str(loop.parts["verifier"].loop_settings["rubric"]))

    def work(stage: Stage) -> None:
        with measured() as cost:
            rows = [rubric]
        stage.write("rubric-00000", rows, Rubric, cost)
        stage.finish(rows_in=1, rows_out=1)

    return rubric, [loop.make("rubric", {"first": rubric.text}, work)]


def _revised(loop: Loop, rubric: Rubric, rounds: Sequence[RoundData]) -> tuple[Rubric, Stage]:
    """The version after this one, from the answers that it judged."""
    verifier = loop.parts["verifier"]
    known = {**verifier.settings, **verifier.loop_settings}
    asked = inspect.signature(revise_rubric).parameters.values()
    settings = {p.name: known[p.name] for p in asked if p.kind is p.KEYWORD_ONLY}
    graded = [
        (d.prompts[one.completion.prompt_id], one) for d in rounds for one in d.sampled.judged
    ]

    def work(stage: Stage) -> None:
        with measured() as cost:
            made = revise_rubric(rubric, graded, **settings)
            cost.verifier_calls += 1
        stage.write("rubric-00000", [made], Rubric, cost)
        stage.finish(rows_in=len(graded), rows_out=1)

    facts = {
        "rubric": asdict(rubric),
        "graded": [data.sampled.content for data in rounds],
        "prompts": [sorted(data.prompts) for data in rounds],
        "settings": settings,
        "code": fingerprint.of_code("align_cli.verifier.revise_rubric.revise_rubric"),
    }
    stage = loop.make("rubric", facts, work)
    [made] = stage.read_all("rubric", Rubric)
    return made, stage
