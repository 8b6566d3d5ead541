"""`align sft`: demonstrations -> policy -> scores, in a run folder with the stages of the store."""

import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.policies import start_policy
from align_cli.loop.prompts import held_out
from align_cli.loop.scores import evaluate
from align_cli.loop.setup import opened
from align_cli.loop.sources import stamp
from align_cli.loop.trail import STEPS, WORK, Trail, read_steps
from align_cli.report.reporter import Reporter
from align_cli.report.result import RunResult, read_result
from align_cli.rows import Demonstration
from align_cli.store import fingerprint
from align_cli.store.cost import measured
from align_cli.store.stage import Stage
from align_cli.train.sft import SftPlan, SftStep, train_sft

if TYPE_CHECKING:
    from align_cli.config.schema import SftConfig

POLICY = "policy"
"""Where in the run folder the trained policy is found."""
TOLD = {"greedy": "eval/greedy_accuracy", "sampled": "eval/sampled_accuracy"}
NOT_TRAINING = {"checkpoint_every"}
"""Settings of the plan that leave the weights as they are."""


@dataclass(frozen=True)
class SftResult:
    """What a warm start came to."""

    policy: Path
    """A transformers folder; `align run policy=hf policy.path=...` goes on from it."""
    run: RunResult


def run_sft(config: "SftConfig", reporter: Reporter) -> SftResult:
    """Carry a warm start to its end; started again with the same words it goes on."""
    with opened(config, reporter, command="sft") as loop:
        plan: SftPlan = loop.parts["train"]()
        exam, exam_stage = held_out(loop)
        start = start_policy(loop, exam, exam_stage)
        demonstrations = _demonstrations(loop)
        policy, stage = _train(loop, plan, demonstrations, start)
        loop.folder.link(POLICY, stage)
        scores = evaluate(loop, 0, exam, exam_stage, [policy], {})
        place = loop.folder.path / POLICY
        shown = [f"{word} {scores[name]:.3f}" for word, name in TOLD.items() if name in scores]
        reporter.say(f"accuracy on held-out prompts: {', '.join(shown)}")
        reporter.say(f"go on with: align run policy=hf policy.path={place}")
        return SftResult(place, read_result(loop.folder.path))


def _demonstrations(loop: Loop) -> Stage:
    started = time.perf_counter()
    source = loop.parts["demonstration"]

    def work(stage: Stage) -> None:
        with measured() as cost:
            rows = source(seed=loop.seed)
        stage.write("demonstrations-00000", rows, Demonstration, cost)
        stage.finish(rows_in=len(rows), rows_out=len(rows))

    facts = {
        "demonstration": source.made_from,
        "source": stamp(source.settings),
        "seed": loop.seed,
    }
    stage = loop.make("demonstrations", facts, work)
    loop.conclude(
        "1_demonstrations",
        {"1_demonstrations": stage},
        round_number=0,
        metrics={"demonstration/count": stage.record.rows_out},
        inputs={},
        seconds=time.perf_counter() - started,
    )
    return stage


def _train(
    loop: Loop, plan: SftPlan, demonstrations: Stage, start: PolicyRef
) -> tuple[PolicyRef, Stage]:
    started = time.perf_counter()
    settings = {key: value for key, value in asdict(plan).items() if key not in NOT_TRAINING}
    facts = {
        "plan": settings,
        "demonstrations": demonstrations.record.content,
        "policy": start.content,
        "seed": loop.seed,
        "trainer": fingerprint.of_code("align_cli.train.sft.train_sft"),
        "versions": loop.versions,
    }
    stage = loop.make("policy", facts, lambda s: _imitate(loop, plan, demonstrations, start, s))
    for step, metrics in read_steps(stage.folder / STEPS):
        loop.journal.append(metrics, round_number=0, stage="5_policy", step=step)
    loop.conclude(
        "5_policy",
        {"5_policy": stage},
        round_number=0,
        metrics=stage.record.metrics,
        inputs={"policy": start.content, "demonstrations": demonstrations.record.content},
        seconds=time.perf_counter() - started,
    )
    return PolicyRef(stage.folder, stage.record.content), stage


def _imitate(
    loop: Loop, plan: SftPlan, demonstrations: Stage, start: PolicyRef, stage: Stage
) -> None:
    work = stage.folder / WORK
    trail = Trail(loop, 0, stage.folder / STEPS)

    def on_step(step: SftStep) -> None:
        metrics = {
            "train/loss": step.loss,
            "train/grad_norm": step.grad_norm,
            "train/learning_rate": step.learning_rate,
        }
        trail.step(step.done - 1, metrics)

    with measured() as cost:
        rows = demonstrations.read_all("demonstrations", Demonstration)
        model = loop.load(start)
        spent = train_sft(
            model,
            rows,
            plan,
            loop.seed,
            work=work,
            on_start=lambda done: trail.start(done, plan.steps),
            on_step=on_step,
        )
        model.save(stage.folder)
        cost.add(spent)
    shutil.rmtree(work, ignore_errors=True)
    stage.finish(rows_in=len(rows), rows_out=len(rows), extra_cost=cost)
    loop.reporter.end("")
