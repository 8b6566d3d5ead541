"""Stage 4: which completions become pairs or groups, and why the other prompts gave none."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from align_cli.errors import AlignError, NothingToTrain
from align_cli.gate import gate_failure
from align_cli.loop.context import Loop, Part, PolicyRef
from align_cli.loop.sampling import Sampled
from align_cli.loop.selection import ONE_OF_EACH, one_kind, predicted_wrong_share
from align_cli.loop.sources import model_facts
from align_cli.loop.yields import (
    Offered,
    filter_metrics,
    group_metrics,
    pair_metrics,
    why_no_group,
    why_no_pair,
    winner_metrics,
)
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Judged, Prompt
from align_cli.seeds import derive
from align_cli.store.cost import measured
from align_cli.store.stage import Record, Stage
from align_cli.training_rows import Group, Pair

ROWS: Mapping[str, type[Pair] | type[Group]] = {"pairs": Pair, "groups": Group}
"""{what a pairing rule supplies: its row}"""
NEEDED = {
    "pairs": "A prompt needs a right and a wrong completion",
    "groups": "A prompt needs judged completions of different scores (or pairing.keep_tied=true)",
}
WHY_NONE = {"pairs": why_no_pair, "groups": why_no_group}
METRICS: Mapping[str, Any] = {"pairs": pair_metrics, "groups": group_metrics}


def pair_up(
    loop: Loop, number: int, prompts: Sequence[Prompt], sampled: Sampled, author: PolicyRef
) -> Stage:
    """The round's pairs or groups; a round without any is an error that holds its yield.

    `author` is the policy that draws, for a filter that asks for it.
    """
    started = time.perf_counter()
    offered = _offer(sampled)
    unit = loop.parts["pairing"].unit
    asks = "policy" in loop.parts["filter"].needs

    def work(stage: Stage) -> None:
        with measured() as cost:
            policy = {"policy": loop.load(author)} if asks else {}
            rows, none, filtered = _rows(loop, number, prompts, offered, policy)
        stage.write(f"{unit}-00000", rows, ROWS[unit], cost)
        used = len({row.prompt_id for row in rows})
        metrics = METRICS[unit](rows, none, offered, sampled.judged)
        if unit == "pairs":
            metrics |= filter_metrics(len(rows), filtered)
        stage.finish(rows_in=len(prompts), rows_out=used, dropped=none, metrics=metrics)

    facts = {
        "pairing": loop.parts["pairing"].made_from,
        "filter": loop.parts["filter"].made_from,
        **model_facts(loop.parts["filter"], loop.versions),
        "judged": sampled.content,
        # Gates travel on the draws, not on the completions.
        "sampler": loop.parts["sampler"].made_from,
        "seed": loop.seed,
        "round": number,
        **({"policy": author.content} if asks else {}),
    }
    stage = loop.make("pairs", facts, work)
    record = stage.record
    contents = {
        f"{kind}_{n}": s.record.content for kind, passes in _passes(sampled) for n, s in passes
    }
    loop.conclude(
        "4_pairs",
        {"4_pairs": stage},
        round_number=number,
        metrics={
            **record.metrics,
            # Not in the record: pairs of one content may lie under prompts of other strata.
            **winner_metrics(
                stage.read_all(unit, ROWS[unit]),
                sampled.judged,
                {prompt.id: prompt.stratum for prompt in prompts},
            ),
            **_expected_wrong(loop, prompts, sampled),
        },
        inputs=contents,
        seconds=time.perf_counter() - started,
    )
    if record.rows_out == 0:
        raise _nothing(number, unit, record)
    return stage


def _nothing(number: int, unit: str, record: Record) -> NothingToTrain:
    counts = ", ".join(f"{reason} {n}" for reason, n in record.dropped.items())
    loosen = "loosen the filter, " if "filtered" in record.dropped else ""
    return NothingToTrain(
        f"round {number}: none of {record.rows_in} prompts gave a {unit[:-1]} ({counts}). "
        f"{NEEDED[unit]}: {loosen}draw more (sampler.n), use easier or harder prompts, or warm "
        "the policy up; `align show` tells what was drawn"
    )


def _expected_wrong(loop: Loop, prompts: Sequence[Prompt], sampled: Sampled) -> dict[str, float]:
    """`pair/chosen_wrong_predicted`, and by stratum: beside `pair/chosen_wrong_share`, for noise.

    Nothing where no noise is known to have erred, or where the formula does not hold.
    """
    labels = [one.label for one in sampled.judged]
    known = [x for x in labels if x.right is not None and x.clean_right is not None]
    rule = loop.parts["pairing"].target.rpartition(".")[2]
    if (
        rule not in ONE_OF_EACH
        or not one_kind(sampled.judged)
        or all(x.right == x.clean_right for x in known)
    ):
        return {}
    found = predicted_wrong_share(
        {(x.prompt_id, x.index): bool(x.right) for x in known},
        {(x.prompt_id, x.index): bool(x.clean_right) for x in known},
        {prompt.id: prompt.stratum for prompt in prompts},
    )
    return {f"pair/chosen_wrong_predicted{'/' * bool(n)}{n}": share for n, share in found.items()}


def _passes(sampled: Sampled) -> list[tuple[str, list[tuple[str, Stage]]]]:
    return [
        ("completions", list(sampled.completions.items())),
        ("labels", list(sampled.labels.items())),
    ]


def _offer(sampled: Sampled) -> Offered:
    all_by_key = {(j.completion.prompt_id, j.completion.index): j for j in sampled.judged}
    siblings: dict[str, list[Judged]] = defaultdict(list)
    silent: dict[str, int] = defaultdict(int)
    gate: Counter[str] = Counter()
    for key in sorted(all_by_key):
        judged, draw = all_by_key[key], sampled.draws[key]
        if draw.gate is not None and draw.corrects is not None:
            failure = gate_failure(draw.gate, judged, all_by_key[key[0], draw.corrects])
            gate[failure or "passed"] += 1
            if failure is not None:
                silent[key[0]] += judged.label.score is None
                continue
        if judged.label.score is None:
            silent[key[0]] += 1
            continue
        siblings[key[0]].append(judged)
    return Offered(dict(siblings), dict(silent), gate)


def _rows(
    loop: Loop,
    number: int,
    prompts: Sequence[Prompt],
    offered: Offered,
    policy: Mapping[str, LanguageModel],
) -> tuple[list[Any], dict[str, int], Counter[str]]:
    """What the rule makes of every prompt and the filter keeps.

    With {reason: prompts that gave nothing} and {reason: pairs that the filter dropped}.
    """
    rule = loop.parts["pairing"]
    whole = "round_pairs" in loop.parts["filter"].needs
    rows: list[Any] = []
    none: Counter[str] = Counter()
    filtered: Counter[str] = Counter()
    for prompt in prompts:
        siblings = offered.siblings.get(prompt.id, [])
        found: Any = []
        if len(siblings) > 1:
            seed = derive(loop.seed, "pair", number, prompt.id)
            found = rule(siblings=siblings, seed=seed)
        if isinstance(found, str):
            none[found] += 1
        elif found:
            _check_rows(found, rule)
            if rule.unit == "pairs" and not whole:
                found = _filtered(loop, found, siblings, number, filtered)
                none["filtered"] += not found
            rows.extend(found)
        else:
            none[WHY_NONE[rule.unit](siblings, offered.silent.get(prompt.id, 0))] += 1
    if whole and rule.unit == "pairs":
        made = {row.prompt_id for row in rows}
        rows = _filtered_together(loop, rows, prompts, offered, number, filtered, policy)
        none["filtered"] += len(made - {row.prompt_id for row in rows})
    return rows, dict(sorted((+none).items())), filtered


def _filtered(
    loop: Loop,
    pairs: Sequence[Pair],
    siblings: Sequence[Judged],
    number: int,
    filtered: Counter[str],
) -> list[Pair]:
    """The pairs of one prompt that no reason stands against; the reasons are counted."""
    part = loop.parts["filter"]
    seed = derive(loop.seed, "filter", number, pairs[0].prompt_id)
    return _kept(part, pairs, part(pairs=list(pairs), siblings=siblings, seed=seed), filtered)


def _filtered_together(
    loop: Loop,
    pairs: Sequence[Pair],
    prompts: Sequence[Prompt],
    offered: Offered,
    number: int,
    filtered: Counter[str],
    policy: Mapping[str, LanguageModel],
) -> list[Pair]:
    """The pairs of the whole round that a filter keeps which compares them with one another."""
    part = loop.parts["filter"]
    answers = {
        (one.completion.prompt_id, one.completion.index): one.completion
        for siblings in offered.siblings.values()
        for one in siblings
    }
    found = part(
        round_pairs=list(pairs),
        answers=answers,
        prompts={prompt.id: prompt for prompt in prompts},
        seed=derive(loop.seed, "filter", number),
        **policy,
    )
    return _kept(part, pairs, found, filtered)


def _kept(
    part: Part, pairs: Sequence[Pair], found: Sequence[Any], filtered: Counter[str]
) -> list[Pair]:
    """What the filter says of each pair: None keeps it, a text drops it, a pair replaces it."""
    if len(found) != len(pairs):
        raise AlignError(
            f"filter {part.target} gave {len(found)} reasons for {len(pairs)} pairs; wanted one "
            "for each, None where the pair is kept"
        )
    filtered.update(each for each in found if isinstance(each, str))
    return [
        pair if each is None else each
        for pair, each in zip(pairs, found, strict=True)
        if not isinstance(each, str)
    ]


def _check_rows(found: Sequence[Any], rule: Part) -> None:
    wanted = ROWS[rule.unit]
    for row in found:
        if not isinstance(row, wanted):
            raise AlignError(
                f"pairing {rule.target} gave a {type(row).__name__} where its annotation says "
                f"list[{wanted.__name__}]; put either right"
            )
