"""Stage 5: the policy a run starts from, and the policy a round of training makes."""

import shutil
import time
from dataclasses import asdict
from typing import Any

import torch

from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.sources import stamp
from align_cli.loop.trail import STEPS, WORK, Trail, read_steps
from align_cli.loop.training_set import TrainingSet
from align_cli.rows import PairReference
from align_cli.store import fingerprint
from align_cli.store.cost import Cost, measured
from align_cli.store.stage import Stage
from align_cli.train.preference import Task, pair_metrics, pair_tensors, train_pairs

NOT_TRAINING = {"rounds", "reference", "ema_decay", "reference_every", "draw_from", "replay",
                "replay_rounds", "checkpoint_every"}  # fmt: skip
"""Settings of the plan that reach the trained weights only through its inputs, or not at all."""


def start_policy(loop: Loop) -> PolicyRef:
    """The policy before any preference training."""
    started = time.perf_counter()
    policy = loop.parts["policy"]

    def work(stage: Stage) -> None:
        with measured() as cost:
            policy(folder=stage.folder, seed=loop.seed)
        stage.finish(rows_in=1, rows_out=1, extra_cost=cost)

    facts: dict[str, Any] = {"policy": policy.made_from, "source": stamp(policy.settings)}
    if "seed" in policy.needs:
        facts["seed"] = loop.seed
    stage = loop.make("policy", facts, work)
    loop.conclude(
        "5_policy",
        {"5_policy": stage},
        round_number=None,
        metrics={},
        inputs={},
        seconds=time.perf_counter() - started,
    )
    return PolicyRef(stage.folder, stage.record.content)


def train_policy(
    loop: Loop,
    number: int,
    pairs: TrainingSet,
    references: Stage | None,
    start: PolicyRef,
) -> PolicyRef:
    """The policy that round `number` makes of `start`."""
    started = time.perf_counter()

    def work(stage: Stage) -> None:
        _train(loop, number, pairs, references, start, stage)

    plan = {key: value for key, value in asdict(loop.plan).items() if key not in NOT_TRAINING}
    facts = {
        "loss": loop.parts["loss"].made_from,
        "plan": plan,
        "pairs": pairs.content,
        "references": None if references is None else references.record.content,
        "policy": start.content,
        "seed": loop.seed,
        "round": number,
        "trainer": fingerprint.of_code("align_cli.train.preference.train_pairs"),
        "versions": loop.versions,
    }
    planned = loop.store.stage("policy", {"kind": "policy", **facts})
    loop.renew("5_policy", {"5_policy": planned}, round_number=number)
    stage = loop.make("policy", facts, work)
    for step, metrics in read_steps(stage.folder / STEPS):
        loop.journal.append(metrics, round_number=number, stage="5_policy", step=step)
    inputs = {"policy": start.content, "pairs": pairs.stage_content}
    if references is not None:
        inputs["reference"] = references.record.content
    loop.conclude(
        "5_policy",
        {"5_policy": stage},
        round_number=number,
        metrics=stage.record.metrics,
        inputs=inputs,
        seconds=time.perf_counter() - started,
    )
    return PolicyRef(stage.folder, stage.record.content)


def _train(
    loop: Loop,
    number: int,
    pairs: TrainingSet,
    references: Stage | None,
    start: PolicyRef,
    stage: Stage,
) -> None:
    work, steps = stage.folder / WORK, stage.folder / STEPS
    with measured() as cost:
        model = loop.load(start)
        rows = None if references is None else references.read_all("reference", PairReference)
        task = Task(pairs.examples(model), rows, loop.parts["loss"], loop.plan, loop.seed, number)
        trail = Trail(loop, number, steps)
        spent = train_pairs(model, task, work=work, on_start=trail.start, on_step=trail.step)
        metrics = _displacement(model.network, task, model, spent)
        model.save(stage.folder)
        cost.add(spent)
    shutil.rmtree(work, ignore_errors=True)
    stage.finish(
        rows_in=len(pairs.rows), rows_out=len(pairs.rows), metrics=metrics, extra_cost=cost
    )
    loop.reporter.end("")


@torch.inference_mode()
def _displacement(network: Any, task: Task, model: Any, cost: Cost) -> dict[str, float]:
    """Where training has moved its own pairs: log-ratios to the reference, after the last step."""
    totals: dict[str, float] = {}
    fallen = 0.0
    count = len(task.examples)
    order = sorted(range(count), key=lambda place: len(task.examples[place].chosen_ids))
    size = max(task.plan.micro_batch_size, 64)
    for at in range(0, count, size):
        places = order[at : at + size]
        pairs, references, labels = pair_tensors(model, task, places, cost)
        out = task.loss(pairs=pairs, ref_pairs=references, pair_labels=labels)
        for name, value in pair_metrics(out, pairs, references).items():
            totals[name] = totals.get(name, 0.0) + value * len(places) / count
        if references is not None:
            fallen += float((pairs.chosen_B < references.chosen_B).sum()) / count
    metrics = {name.replace("train/", "after/"): value for name, value in totals.items()}
    if task.references is not None:
        metrics["after/chosen_fallen_share"] = fallen
    return metrics
