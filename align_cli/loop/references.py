"""Which policy a round is measured against, and its log-probs of the round's pairs."""

import time
from collections.abc import Sequence

import torch

from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.training_set import TrainingSet
from align_cli.model.language_model import LanguageModel
from align_cli.model.scoring import score_sequences
from align_cli.rows import PairReference
from align_cli.store.cost import Cost, measured
from align_cli.store.stage import Stage
from align_cli.train.preference import Example


def reference_of(loop: Loop, number: int, policies: Sequence[PolicyRef]) -> PolicyRef:
    """The reference of round `number`; `policies[k]` is the policy that enters round k.

    initial: policies[0].  previous: policies[number].  every_m: policies[m floor(number / m)].
    ema: e_0 = policies[0], e_k = d e_(k-1) + (1 - d) policies[k], weight by weight.
    """
    plan = loop.plan
    if plan.reference == "initial":
        return policies[0]
    if plan.reference == "previous":
        return policies[number]
    if plan.reference == "every_m":
        assert plan.reference_every is not None
        return policies[number // plan.reference_every * plan.reference_every]
    assert plan.ema_decay is not None
    average = policies[0]
    for policy in policies[1 : number + 1]:
        average = _moved(loop, average, policy, plan.ema_decay)
    return average


def _moved(loop: Loop, average: PolicyRef, policy: PolicyRef, decay: float) -> PolicyRef:
    def work(stage: Stage) -> None:
        with measured() as cost, torch.inference_mode():
            model, other = loop.load(average), loop.load(policy)
            for mine, theirs in zip(
                model.network.parameters(), other.network.parameters(), strict=True
            ):
                mine.mul_(decay).add_(theirs, alpha=1 - decay)
            model.save(stage.folder)
        stage.finish(rows_in=2, rows_out=1, extra_cost=cost)

    facts = {"average": average.content, "policy": policy.content, "decay": decay}
    stage = loop.make("policy", facts, work)
    return PolicyRef(stage.folder, stage.record.content)


def score_reference(
    loop: Loop, number: int, pairs: TrainingSet, reference: PolicyRef
) -> Stage | None:
    """Reference log-probs of both sides of every pair, once; None if the loss asks for none."""
    if "ref_pairs" not in loop.parts["loss"].needs:
        return None
    started = time.perf_counter()

    def work(stage: Stage) -> None:
        loop.reporter.begin(f"round {number} reference", total=len(pairs.rows), unit="pairs")
        with measured() as cost:
            model = loop.load(reference)
            rows = _score(model, pairs.examples(model), cost)
            loop.reporter.advance(len(rows))
        stage.write("reference-00000", rows, PairReference, cost)
        stage.finish(rows_in=len(pairs.rows), rows_out=len(pairs.rows))
        loop.reporter.end("")

    facts = {"reference": reference.content, "pairs": pairs.content, "versions": loop.versions}
    stage = loop.make("reference", facts, work)
    loop.conclude(
        "4_reference",
        {"4_reference": stage},
        round_number=number,
        metrics={"reference/pairs": len(pairs.rows)},
        inputs={"policy": reference.content, "pairs": pairs.stage_content},
        seconds=time.perf_counter() - started,
    )
    return stage


def _score(model: LanguageModel, examples: Sequence[Example], cost: Cost) -> list[PairReference]:
    prompts = [example.prompt_ids for example in examples]
    chosen = score_sequences(model, prompts, [e.chosen_ids for e in examples], cost)
    rejected = score_sequences(model, prompts, [e.rejected_ids for e in examples], cost)
    return [
        PairReference(
            prompt_id=e.prompt_id, round=e.round, chosen=e.chosen, rejected=e.rejected,
            chosen_logp=c, rejected_logp=r,
        )
        for e, c, r in zip(examples, chosen, rejected, strict=True)
    ]  # fmt: skip
