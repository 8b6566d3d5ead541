"""Stage 4: which completions become preference pairs, and why the other prompts gave none."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from align_cli.errors import NothingToTrain
from align_cli.gate import gate_failure
from align_cli.loop.context import Loop
from align_cli.loop.sampling import Sampled
from align_cli.rows import Judged, Pair, Prompt
from align_cli.seeds import derive
from align_cli.store.cost import measured
from align_cli.store.stage import Stage


@dataclass(frozen=True)
class Offered:
    """What one round puts before the pairing rule: judged, and through the gate."""

    siblings: dict[str, list[Judged]]
    """{prompt id: completions in order of index}"""
    silent: dict[str, int]
    """{prompt id: unjudged completions}"""
    gate: Counter[str]
    """Corrections by outcome: `passed`, or the first check that failed."""


def pair_up(loop: Loop, number: int, prompts: Sequence[Prompt], sampled: Sampled) -> Stage:
    """The round's pairs; a round without any is an error that holds its yield."""
    started = time.perf_counter()
    offered = _offer(sampled)

    def work(stage: Stage) -> None:
        with measured() as cost:
            pairs, none = _pairs(loop, number, prompts, offered)
        stage.write("pairs-00000", pairs, Pair, cost)
        used = len({pair.prompt_id for pair in pairs})
        metrics = _metrics(pairs, none, offered, sampled)
        stage.finish(rows_in=len(prompts), rows_out=used, dropped=none, metrics=metrics)

    facts = {
        "pairing": loop.parts["pairing"].made_from,
        "judged": sampled.content,
        # Gates travel on the draws, not on the completions.
        "sampler": loop.parts["sampler"].made_from,
        "seed": loop.seed,
        "round": number,
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
        metrics=record.metrics,
        inputs=contents,
        seconds=time.perf_counter() - started,
    )
    if record.rows_out == 0:
        counts = ", ".join(f"{reason} {n}" for reason, n in record.dropped.items())
        raise NothingToTrain(
            f"round {number}: none of {record.rows_in} prompts gave a pair ({counts}). A prompt "
            "needs a right and a wrong completion: draw more (sampler.n), use easier or harder "
            "prompts, or warm the policy up; `align show` tells what was drawn"
        )
    return stage


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


def _pairs(
    loop: Loop, number: int, prompts: Sequence[Prompt], offered: Offered
) -> tuple[list[Pair], dict[str, int]]:
    pairs: list[Pair] = []
    none: Counter[str] = Counter()
    for prompt in prompts:
        siblings = offered.siblings.get(prompt.id, [])
        found: list[Pair] = []
        if len(siblings) > 1:
            seed = derive(loop.seed, "pair", number, prompt.id)
            found = loop.parts["pairing"](siblings=siblings, seed=seed)
        pairs.extend(found)
        if not found:
            none[_why_none(siblings, offered.silent.get(prompt.id, 0))] += 1
    return pairs, dict(sorted(none.items()))


def _why_none(siblings: Sequence[Judged], silent: int) -> str:
    """One reason for each prompt without a pair."""
    if len(siblings) < 2 and silent:
        return "unscored"
    rights = {judged.label.right for judged in siblings}
    if rights == {True}:
        return "all_right"
    scores = {judged.label.score for judged in siblings}
    if rights == {False} and len(scores) == 1:
        return "all_wrong"
    if len(siblings) < 2:
        return "one_completion"
    return "tied" if len(scores) == 1 else "refused_by_rule"


def _metrics(
    pairs: Sequence[Pair], none: dict[str, int], offered: Offered, sampled: Sampled
) -> dict[str, float]:
    metrics: dict[str, float] = {
        "pair/count": len(pairs),
        "pair/natural": sum(pair.kind == "natural" for pair in pairs),
        "pair/corrected": sum(pair.kind == "corrected" for pair in pairs),
    }
    metrics |= {f"pair/none/{reason}": count for reason, count in none.items()}
    metrics |= {f"gate/{outcome}": count for outcome, count in sorted(offered.gate.items())}
    if pairs:
        metrics["pair/margin"] = sum(pair.margin for pair in pairs) / len(pairs)
        labels = {(j.completion.prompt_id, j.completion.index): j.label for j in sampled.judged}
        chosen = [labels[pair.prompt_id, pair.chosen].clean_right for pair in pairs]
        known = [right for right in chosen if right is not None]
        if known:
            # With a noisy verifier some winners are not right; a clean one shows 0 here.
            metrics["pair/chosen_wrong_share"] = sum(not right for right in known) / len(known)
        lengths = {
            (j.completion.prompt_id, j.completion.index): len(j.completion.token_ids)
            for j in sampled.judged
        }
        longer = sum(
            lengths[p.prompt_id, p.chosen] > lengths[p.prompt_id, p.rejected] for p in pairs
        )
        metrics["pair/chosen_longer_share"] = longer / len(pairs)
    return metrics
