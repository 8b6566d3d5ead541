"""`align train-rm`: pairs -> reward model -> how well it ranks pairs it has not seen."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_cli.errors import ConfigError, NothingToTrain
from align_cli.evaluation.calibration import preference_metrics
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.policies import start_policy
from align_cli.loop.setup import opened
from align_cli.loop.sources import stamp
from align_cli.loop.trail import STEPS, WORK, Trail, read_steps
from align_cli.model.lora import add_lora, merge_lora
from align_cli.model.probe import write_probe
from align_cli.model.reward_model import RewardModel
from align_cli.report.reporter import Reporter
from align_cli.report.result import RunResult, read_result
from align_cli.rows import Preference
from align_cli.seeds import derive
from align_cli.store import fingerprint
from align_cli.store.cost import Cost, measured
from align_cli.store.stage import Stage, write_text
from align_cli.table.example import is_held_out
from align_cli.train.reward import EncodedPair, RewardPlan, RewardTask, encoded
from align_cli.train.steps import train

if TYPE_CHECKING:
    from align_cli.config.schema import RewardConfig

MODEL = "reward_model"
"""Where in the run folder the trained model is found."""
PLACE = "5_reward_model"
TRAINED_ON = "trained_on.json"
"""Beside the weights: which pairs, which backbone, which objective, and the held-out numbers."""
LEAST_PAIRS = 10
"""Fewer held-out pairs than this say nothing of a model."""
CODE = (
    "align_cli.train.reward.RewardTask",
    "align_cli.model.lora.add_lora",
    "align_cli.evaluation.calibration.preference_metrics",
    "align_cli.model.probe.write_probe",
)
"""What makes the files of the model's folder."""
NOT_TRAINING = {"checkpoint_every"}
"""Settings of the plan that leave the model's folder as it is."""


@dataclass(frozen=True)
class RewardResult:
    """What a training came to."""

    model: Path
    """A transformers folder; `align run verifier=reward_model verifier.path=...` asks it."""
    metrics: Mapping[str, float]
    run: RunResult


def run_train_rm(config: "RewardConfig", reporter: Reporter) -> RewardResult:
    """Carry a training to its end; started again with the same words it goes on."""
    with opened(config, reporter, command="train-rm") as loop:
        plan: RewardPlan = loop.parts["train"]()
        check_outputs(loop)
        stage = _preferences(loop)
        pairs = stage.read_all("preferences", Preference)
        held = [pair for pair in pairs if is_held_out(pair.prompt_id, plan.heldout_share)]
        rest = [pair for pair in pairs if not is_held_out(pair.prompt_id, plan.heldout_share)]
        check_pairs(loop, plan, rest, held)
        backbone = start_policy(loop)
        trained = _train(loop, plan, stage, rest, held, backbone)
        loop.folder.link(MODEL, trained)
        place = loop.folder.path / MODEL
        told = trained.record.metrics
        reporter.say(
            f"held out: {told['rm/heldout_accuracy']:.1%} of {told['rm/heldout_pairs']:.0f} pairs "
            f"ranked right, {told['rm/heldout_nll']:.3f} nats, calibration error "
            f"{told['rm/heldout_ece']:.3f} (trained on: {told['rm/train_accuracy']:.1%} of "
            f"{told['rm/train_pairs']:.0f})"
        )
        verifier = (
            "preference_model" if loop.parts["objective"].loop_settings["outputs"] > 1 else ""
        )
        reporter.say(
            f"judge a run by it: align run verifier={verifier or 'reward_model'} "
            f"verifier.path={place}"
        )
        return RewardResult(place, told, read_result(loop.folder.path))


def check_outputs(loop: Loop) -> None:
    """One logit is a reward, an even number of them an embedding that has a temperature."""
    objective = loop.parts["objective"]
    outputs = objective.loop_settings["outputs"]
    if "temperature" in objective.settings:
        if outputs % 2:
            raise ConfigError(
                f"objective.outputs: got {outputs}, wanted an even number: embeddings are compared "
                "in blocks of two"
            )
    elif outputs != 1:
        raise ConfigError(
            f"objective.outputs: got {outputs}, wanted 1: {objective.target} gives every answer "
            "one reward; objective=general_preference embeds answers"
        )


def check_pairs(
    loop: Loop, plan: RewardPlan, rest: Sequence[Preference], held: Sequence[Preference]
) -> None:
    """Refuse what cannot be learned from or told apart from chance."""
    if len(rest) < plan.batch_size or len(held) < LEAST_PAIRS:
        raise NothingToTrain(
            f"{len(rest)} pairs to train on and {len(held)} held out (train.heldout_share "
            f"{plan.heldout_share} of the prompts); wanted train.batch_size, {plan.batch_size}, "
            f"and {LEAST_PAIRS} or more: give pairs of more prompts, or change these settings"
        )
    scale = loop.parts["objective"].settings.get("margin_scale", 0)
    margins = {pair.margin for pair in rest}
    if scale and len(margins) == 1:
        raise ConfigError(
            f"objective.margin_scale is {scale}, but the margin of all {len(rest)} pairs is "
            f"{margins.pop()}: it tells no pair from another; set margin_scale=0, or give pairs "
            "whose verifier grades"
        )


def _preferences(loop: Loop) -> Stage:
    """The pairs as rows; those that prefer nothing are dropped and counted."""
    started = time.perf_counter()
    source = loop.parts["preference"]

    def work(stage: Stage) -> None:
        with measured() as cost:
            rows = source()
            reasons = [_no_preference(row) for row in rows]
        kept = [row for row, reason in zip(rows, reasons, strict=True) if reason is None]
        dropped = Counter(reason for reason in reasons if reason is not None)
        stage.write("preferences-00000", kept, Preference, cost)
        stage.finish(rows_in=len(rows), rows_out=len(kept), dropped=dropped)

    facts = {"preference": source.made_from, "source": stamp(source.settings)}
    stage = loop.make("preferences", facts, work)
    record = stage.record
    loop.conclude(
        "1_preferences",
        {"1_preferences": stage},
        round_number=0,
        metrics={
            "preference/count": record.rows_out,
            **{f"preference/dropped/{reason}": n for reason, n in record.dropped.items()},
        },
        inputs={},
        seconds=time.perf_counter() - started,
    )
    return stage


def _no_preference(row: Preference) -> str | None:
    if row.margin == 0:
        return "tied"
    return "identical" if row.chosen == row.rejected else None


def _train(
    loop: Loop,
    plan: RewardPlan,
    preferences: Stage,
    rest: Sequence[Preference],
    held: Sequence[Preference],
    backbone: PolicyRef,
) -> Stage:
    started = time.perf_counter()
    objective = loop.parts["objective"]
    facts = {
        "plan": {key: value for key, value in asdict(plan).items() if key not in NOT_TRAINING},
        "objective": {**objective.made_from, **objective.loop_settings},
        "preferences": preferences.record.content,
        "policy": backbone.content,
        "seed": loop.seed,
        "code": [fingerprint.of_code(name) for name in CODE],
        "versions": loop.versions,
    }
    stage = loop.make(
        "reward_model", facts, lambda s: _learn(loop, plan, facts, rest, held, backbone, s)
    )
    for step, metrics in read_steps(stage.folder / STEPS):
        loop.journal.append(metrics, round_number=0, stage=PLACE, step=step)
    loop.conclude(
        PLACE,
        {PLACE: stage},
        round_number=0,
        metrics=stage.record.metrics,
        inputs={"policy": backbone.content, "preferences": preferences.record.content},
        seconds=time.perf_counter() - started,
    )
    return stage


def _learn(
    loop: Loop,
    plan: RewardPlan,
    facts: Mapping[str, Any],
    rest: Sequence[Preference],
    held: Sequence[Preference],
    backbone: PolicyRef,
    stage: Stage,
) -> None:
    work = stage.folder / WORK
    objective = loop.parts["objective"]
    with measured() as cost:
        model = RewardModel.fresh(
            backbone.folder,
            device=loop.device,
            outputs=objective.loop_settings["outputs"],
            temperature=objective.settings.get("temperature"),
            dropout=plan.dropout,
            seed=derive(loop.seed, "head"),
        )
        adapted = None
        if plan.lora_rank is not None and plan.lora_alpha is not None:
            adapted = add_lora(
                model.network,
                rank=plan.lora_rank,
                alpha=plan.lora_alpha,
                seed=derive(loop.seed, "lora"),
            )
        task = RewardTask(encoded(model, rest), objective, plan, loop.seed)
        examined = encoded(model, held)
        trail = Trail(loop, 0, stage.folder / STEPS, PLACE)
        cost.add(train(model, task, work=work, on_start=trail.start, on_step=trail.step))
        if adapted is not None:
            merge_lora(adapted)
        odds = log_odds_of(model, examined, cost)
        metrics = {
            **preference_metrics(odds, "rm/heldout"),
            **preference_metrics(log_odds_of(model, task.examples, cost), "rm/train"),
        }
        model.save(stage.folder)
        write_probe(stage.folder, held[: plan.probe_pairs], odds[: plan.probe_pairs])
        sources = Counter(pair.source.partition(":")[0] for pair in (*rest, *held))
        told = {**facts, "metrics": metrics, "sources": sources}
        write_text(stage.folder / TRAINED_ON, json.dumps(told, indent=1, default=list))
    shutil.rmtree(work, ignore_errors=True)
    count = len(rest) + len(held)
    stage.finish(rows_in=count, rows_out=count, metrics=metrics, extra_cost=cost)
    loop.reporter.end("")


def log_odds_of(model: RewardModel, pairs: Sequence[EncodedPair], cost: Cost) -> list[float]:
    """Log-odds that the chosen answer of each pair is the better one."""
    chosen_ND = model.read([pair.chosen_ids for pair in pairs], cost)
    rejected_ND = model.read([pair.rejected_ids for pair in pairs], cost)
    odds: list[float] = model.odds(chosen_ND, rejected_ND).tolist()
    return odds
