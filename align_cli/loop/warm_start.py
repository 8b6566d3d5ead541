"""`align sft`: demonstrations -> policy -> scores, in a run folder with the stages of the store."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.policies import STEPS, WORK, _read_steps, _Trail, start_policy
from align_cli.loop.prompts import held_out
from align_cli.loop.rounds import _total
from align_cli.loop.scores import evaluate
from align_cli.loop.setup import (
    ARITHMETIC,
    _mirror,
    _tracker,
    choose_device,
    environment,
    part_of,
    quieten,
)
from align_cli.report.reporter import Reporter
from align_cli.report.result import RunResult, read_result
from align_cli.rows import Demonstration
from align_cli.store import fingerprint
from align_cli.store.cost import measured
from align_cli.store.journal import Journal
from align_cli.store.run_folder import RunFolder
from align_cli.store.stage import Stage, Store
from align_cli.train.sft import SftPlan, SftStep, train_sft

if TYPE_CHECKING:
    from align_cli.config.schema import SftConfig

POLICY = "policy"
"""Where in the run folder the trained policy is found."""
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
    with _opened(config, reporter) as loop, _total(loop, "sft"):
        plan: SftPlan = loop.parts["train"]()
        start = start_policy(loop)
        demonstrations = _demonstrations(loop)
        policy, stage = _train(loop, plan, demonstrations, start)
        loop.folder.link(POLICY, stage)
        exam, exam_stage = held_out(loop)
        scores = evaluate(loop, 0, exam, exam_stage, policy, {})
        place = loop.folder.path / POLICY
        shown = "  ".join(f"{name} {scores[name]:.3f}" for name in sorted(scores) if "/" in name)
        reporter.say(shown)
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

    facts = {"demonstration": source.made_from, "seed": loop.seed}
    stage = loop.make("demonstrations", facts, work)  # type: ignore[arg-type]
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
    for step, metrics in _read_steps(stage.folder / STEPS):
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
    trail = _Trail(loop, 0, stage.folder / STEPS)

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


@contextmanager
def _opened(config: "SftConfig", reporter: Reporter) -> Iterator[Loop]:
    """As `loop.setup.opened`, for a root that has neither a schedule nor a loss."""
    device = choose_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    quieten()
    parts = {group: part_of(binding) for group, binding in config.bindings.items()}
    path = Path(config.outputs) / config.run_name()
    with RunFolder.opened(
        path,
        config_text=config.as_yaml(),
        identity=config.identity(),
        environment=environment(device),
    ) as folder:
        journal = Journal(path / "metrics.jsonl")
        tracker = _tracker(config, parts, folder, len(journal))  # type: ignore[arg-type]
        journal.mirror = _mirror(tracker, journal)
        code = 1
        try:
            yield Loop(
                name=config.run_name(),
                seed=config.seed,
                parts=parts,
                # A warm start has no rounds, and nothing it calls asks for their plan.
                plan=None,  # type: ignore[arg-type]
                store=Store(Path(config.outputs) / ".store"),
                folder=folder,
                journal=journal,
                tracker=tracker,
                reporter=reporter,
                device=device,
                versions={**{name: version(name) for name in ARITHMETIC}, "device": device},
            )
            code = 0
        finally:
            tracker.finish(code)
