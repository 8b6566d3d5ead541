"""What stands still while a round trains: log-probs of its examples, computed once and stored."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from align_cli.errors import NothingToTrain
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.example_sets import TrainingSet
from align_cli.loop.known_places import KNOWN
from align_cli.model.language_model import LanguageModel
from align_cli.model.scoring import score_sequences, score_tokens
from align_cli.store import fingerprint
from align_cli.store.cost import Cost, measured
from align_cli.store.stage import Stage
from align_cli.train.group_batches import GroupExample
from align_cli.train.pair_batches import PairExample
from align_cli.training_rows import (
    GroupReference,
    MismatchReference,
    PairReference,
    PairTokenReference,
)


@dataclass(frozen=True)
class Table:
    """Rows that some losses ask for, by the name of a parameter."""

    place: str
    """In the round's folder."""
    under: Literal["reference", "start"]
    """Whose log-probs: the round's reference's, or those of the policy that enters the round."""
    row_type: type
    score: Callable[[LanguageModel, Sequence[Any], Cost], list[Any]]


Known = Mapping[str, Stage]
"""{parameter of the loss: the stage that holds its rows}"""


def score_known(
    loop: Loop, number: int, chosen: TrainingSet, reference: PolicyRef, start: PolicyRef
) -> Known:
    """Every table that the loss asks for, and no other.

    Tables of the same rows under the same policy are one: where the reference is the policy that
    enters the round, `start_pairs` are the `ref_pairs`.
    """
    policies = {"reference": reference, "start": start}
    found: dict[str, Stage] = {}
    made: dict[tuple[type, str], Stage] = {}
    for need, table in TABLES.items():
        if need not in loop.parts["loss"].needs:
            continue
        policy = policies[table.under]
        key = (table.row_type, policy.content)
        if key not in made:
            made[key] = _table(loop, number, chosen, table, policy)
        found[need] = made[key]
    return found


def _table(loop: Loop, number: int, chosen: TrainingSet, table: Table, policy: PolicyRef) -> Stage:
    started = time.perf_counter()

    def work(stage: Stage) -> None:
        title = f"round {number} {table.under}"
        loop.reporter.begin(title, total=len(chosen.rows), unit=chosen.unit)
        with measured() as cost:
            model = loop.load(policy)
            rows = table.score(model, chosen.examples(model), cost)
            loop.reporter.advance(len(chosen.rows))
        stage.write("reference-00000", rows, table.row_type, cost)
        stage.finish(rows_in=len(chosen.rows), rows_out=len(rows))
        loop.reporter.end("")

    facts = {
        "rows": table.row_type.__name__,
        "reference": policy.content,
        chosen.unit: chosen.content,
        "code": fingerprint.of_code("align_cli.model.scoring.score_sequences"),
        "versions": dict(loop.versions),
    }
    stage = loop.make("reference", facts, work)
    loop.conclude(
        table.place,
        {table.place: stage},
        round_number=number,
        metrics={f"reference/{chosen.unit}": len(chosen.rows)},
        inputs={"policy": policy.content, chosen.unit: chosen.stage_content},
        seconds=time.perf_counter() - started,
    )
    return stage


def read_known(known: Known) -> dict[str, list[Any]]:
    """The rows of every table."""
    return {
        need: stage.read_all("reference", TABLES[need].row_type) for need, stage in known.items()
    }


def _pairs(
    model: LanguageModel, examples: Sequence[PairExample], cost: Cost
) -> list[PairReference]:
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


def _groups(
    model: LanguageModel, examples: Sequence[GroupExample], cost: Cost
) -> list[GroupReference]:
    prompts = [e.prompt_ids for e in examples for _ in e.indices]
    completions = [ids for e in examples for ids in e.completion_ids]
    logps = iter(score_sequences(model, prompts, completions, cost))
    return [
        GroupReference(
            prompt_id=e.prompt_id,
            round=e.round,
            indices=e.indices,
            member_logps=tuple(next(logps) for _ in e.indices),
        )
        for e in examples
    ]


def _mismatches(
    model: LanguageModel, examples: Sequence[GroupExample], cost: Cost
) -> list[MismatchReference]:
    others = [example.mismatch for example in examples if example.mismatch is not None]
    if len(others) < len(examples):
        raise NothingToTrain(
            f"the loss compares with answers to other prompts, but all {len(examples)} groups are "
            f"of prompt {examples[0].prompt_id}; raise task.prompts_per_round"
        )
    prompts = [example.prompt_ids for example in examples]
    logps = score_sequences(model, prompts, [other.token_ids for other in others], cost)
    return [
        MismatchReference(
            prompt_id=example.prompt_id,
            round=example.round,
            other_prompt_id=other.prompt_id,
            other_round=other.round,
            other_index=other.index,
            logp=logp,
        )
        for example, other, logp in zip(examples, others, logps, strict=True)
    ]


def _pair_tokens(
    model: LanguageModel, examples: Sequence[PairExample], cost: Cost
) -> list[PairTokenReference]:
    prompts = [example.prompt_ids for example in examples]
    chosen = score_tokens(model, prompts, [e.chosen_ids for e in examples], cost)
    rejected = score_tokens(model, prompts, [e.rejected_ids for e in examples], cost)
    return [
        PairTokenReference(
            prompt_id=e.prompt_id, round=e.round, chosen=e.chosen, rejected=e.rejected,
            chosen_logps=c, rejected_logps=r,
        )
        for e, c, r in zip(examples, chosen, rejected, strict=True)
    ]  # fmt: skip


ROWS: Mapping[str, tuple[type, Callable[[LanguageModel, Sequence[Any], Cost], list[Any]]]] = {
    "PairReference": (PairReference, _pairs),
    "PairTokenReference": (PairTokenReference, _pair_tokens),
    "GroupReference": (GroupReference, _groups),
    "MismatchReference": (MismatchReference, _mismatches),
}
TABLES = {need: Table(place, under, *ROWS[rows]) for need, (place, under, rows) in KNOWN.items()}
"""What can be known of the examples, in the order in which it is computed."""
