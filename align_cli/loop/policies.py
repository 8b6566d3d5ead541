"""Stage 5: the policy a run starts from, and the policy a round of training makes."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from align_cli.errors import ConfigError
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.example_sets import TrainingSet
from align_cli.loop.known import Known, read_known
from align_cli.loop.sources import stamp
from align_cli.loop.trail import STEPS, WORK, Trail, read_steps
from align_cli.model.language_model import LanguageModel
from align_cli.model.token_masks import TokenMasks
from align_cli.rows import Prompt
from align_cli.schedule.plan import NOT_TRAINING
from align_cli.seeds import derive
from align_cli.store import fingerprint
from align_cli.store.cost import measured
from align_cli.store.stage import Stage
from align_cli.train.fresh import NEEDS
from align_cli.train.full_batch import train_whole
from align_cli.train.steps import numbers_after, train
from align_cli.train.tokens import NEEDS_REFERENCE_MODEL


def start_policy(
    loop: Loop, prompts: Sequence[Prompt] = (), prompts_stage: Stage | None = None
) -> PolicyRef:
    """The policy before any preference training.

    One that asks for prompts (a bandit's, whose arms are the task's) is shown those given here.
    """
    started = time.perf_counter()
    policy = loop.parts["policy"]
    if "prompts" in policy.needs and prompts_stage is None:
        raise ConfigError(
            f"policy {policy.target} is made for the prompts of a task, and this command has none; "
            "choose another policy"
        )

    def work(stage: Stage) -> None:
        with measured() as cost:
            policy(folder=stage.folder, seed=loop.seed, prompts=prompts)
        stage.finish(rows_in=1, rows_out=1, extra_cost=cost)

    facts: dict[str, Any] = {"policy": policy.made_from, "source": stamp(policy.settings)}
    if "seed" in policy.needs:
        facts["seed"] = loop.seed
    if "prompts" in policy.needs and prompts_stage is not None:
        facts["prompts"] = prompts_stage.record.content
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
    chosen: TrainingSet,
    known: Known,
    reference: PolicyRef,
    start: PolicyRef,
) -> PolicyRef:
    """The policy that round `number` makes of `start`."""
    started = time.perf_counter()
    asked = reference if NEEDS_REFERENCE_MODEL & loop.parts["loss"].needs else None

    def work(stage: Stage) -> None:
        _train(loop, number, chosen, known, asked, start, stage)

    plan = {key: value for key, value in asdict(loop.plan).items() if key not in NOT_TRAINING}
    facts = {
        "loss": loop.parts["loss"].made_from,
        "plan": plan,
        chosen.unit: chosen.content,
        "known": {need: table.record.content for need, table in known.items()},
        "policy": start.content,
        "reference": None if asked is None else asked.content,
        "seed": loop.seed,
        "round": number,
        **fresh_facts(loop),
        **whole_facts(loop),
        "trainer": fingerprint.of_code(chosen.trainer),
        "versions": loop.versions,
    }
    planned = loop.store.stage("policy", {"kind": "policy", **facts})
    loop.renew("5_policy", {"5_policy": planned}, round_number=number)
    stage = loop.make("policy", facts, work)
    for step, metrics in read_steps(stage.folder / STEPS):
        loop.journal.append(metrics, round_number=number, stage="5_policy", step=step)
    inputs = {"policy": start.content, chosen.unit: chosen.stage_content}
    inputs |= {need: table.record.content for need, table in known.items()}
    if asked is not None:
        inputs["reference"] = asked.content
    loop.conclude(
        "5_policy",
        {"5_policy": stage},
        round_number=number,
        metrics=stage.record.metrics,
        inputs=inputs,
        seconds=time.perf_counter() - started,
    )
    return PolicyRef(stage.folder, stage.record.content)


def fresh_facts(loop: Loop) -> dict[str, Any]:
    """What else the weights depend on where the loss asks for answers drawn as it trains."""
    loss = loop.parts["loss"]
    if not NEEDS & loss.needs:
        return {}
    return {"engine": loop.parts["engine"].made_from, "fresh": dict(loss.loop_settings)}


def whole_facts(loop: Loop) -> dict[str, Any]:
    """The code of a round that is trained as a whole."""
    if loop.plan.full_batch is None:
        return {}
    return {"full_batch": fingerprint.of_code("align_cli.train.full_batch.train_whole")}


def masks_beside(
    loop: Loop, number: int, reference: LanguageModel | None, start: PolicyRef
) -> TokenMasks | None:
    """Masks for a loss that asks for learned ones: those saved with the policy, or fresh ones."""
    if "token_masks" not in loop.parts["loss"].needs or reference is None:
        return None
    config = reference.network.config.get_text_config(decoder=True)
    layers, width = config.num_hidden_layers + 1, config.hidden_size
    masks = TokenMasks(layers, width, derive(loop.seed, "token_masks", number))
    masks.take_up(start.folder)
    return masks.to(reference.device)


def _train(
    loop: Loop,
    number: int,
    chosen: TrainingSet,
    known: Known,
    asked: PolicyRef | None,
    start: PolicyRef,
    stage: Stage,
) -> None:
    work, steps = stage.folder / WORK, stage.folder / STEPS
    with measured() as cost:
        model = loop.load(start)
        reference = None if asked is None else loop.load(asked)
        side = masks_beside(loop, number, reference, start)
        task = chosen.task(loop, model, read_known(known), reference, side, number)
        trail = Trail(loop, number, steps)
        certificate: dict[str, float] = {}
        if loop.plan.full_batch is None:
            spent = train(model, task, work=work, on_start=trail.start, on_step=trail.step)
        else:
            spent, certificate = train_whole(
                model, task, loop.plan.full_batch, on_start=trail.start, on_step=trail.step
            )
        metrics = {**numbers_after(model, task, spent), **certificate}
        model.save(stage.folder)
        if side is not None:
            side.save(stage.folder)
        cost.add(spent)
    shutil.rmtree(work, ignore_errors=True)
    count = len(chosen.rows)
    stage.finish(rows_in=count, rows_out=count, metrics=metrics, extra_cost=cost)
    loop.reporter.end("")
