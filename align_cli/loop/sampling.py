"""Stages 2 and 3: the sampler is asked in passes; each pass is drawn, then judged.

A pass is made in blocks of siblings (loop/pool.py), a stage each: runs that want more or fewer
draws of the same kind share the blocks that both want.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from align_cli.errors import AlignError
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.generation import Models, Request, complete
from align_cli.loop.labelling import Judging, check_unscored, label_drawn, labels_of
from align_cli.loop.pool import block_of
from align_cli.loop.verdicts import label_metrics
from align_cli.rows import Completion, Draw, Judged, Prompt
from align_cli.seeds import derive
from align_cli.store.stage import Stage


@dataclass(frozen=True)
class Sampled:
    """Everything drawn and judged in one round."""

    judged: list[Judged]
    draws: Mapping[tuple[str, int], Draw]
    completions: dict[str, Stage]
    labels: dict[str, Stage]

    @property
    def content(self) -> list[str]:
        """Fingerprints of the rows, pass by pass."""
        stages = [*self.completions.values(), *self.labels.values()]
        return [stage.record.content for stage in stages]


def sample(
    loop: Loop,
    number: int,
    prompts: Sequence[Prompt],
    prompts_stage: Stage,
    policies: Mapping[str, PolicyRef],
) -> Sampled:
    """Ask the sampler until it wants nothing more.

    Labels are read anew after every pass: a verifier that judges siblings together gives another
    label to an answer that has got new ones.
    """
    by_id = {prompt.id: prompt for prompt in prompts}
    judging = Judging(
        loop=loop,
        verifier=loop.parts["verifier"],
        prompts=by_id,
        prompts_content=prompts_stage.record.content,
        stream=(loop.seed, "noise", number),
        title=f"round {number} label",
    )
    models = Models(loop, policies)
    sampled = Sampled([], {}, {}, {})
    draws_so_far: dict[tuple[str, int], Draw] = {}
    drawing = labelling = 0.0
    passes = 0
    offer: dict[str, Any] = {"seed": derive(loop.seed, "sampler", number)}
    if "policy" in loop.parts["sampler"].needs:
        offer["policy"] = models.of("current")
    while draws := loop.parts["sampler"](prompts=prompts, judged=sampled.judged, **offer):
        name = f"pass_{passes}"
        passes += 1
        _check_draws(loop, draws, draws_so_far, by_id)
        draws_so_far.update({(draw.prompt_id, draw.index): draw for draw in draws})
        began = time.perf_counter()
        drawn: dict[str, Stage] = {}
        for block, wanted in _blocks(name, draws).items():
            request = Request(wanted, by_id, models, (loop.seed, "draw", number))
            drawn[block] = complete(loop, request, f"round {number} generate")
        read = time.perf_counter()
        labelled = label_drawn(judging, drawn, list(sampled.completions.values()))
        drawing, labelling = drawing + read - began, labelling + time.perf_counter() - read
        sampled.completions.update(drawn)
        sampled.labels.update(labelled)
        _read(sampled, draws, drawn, labelled)
        check_unscored(judging.verifier, sampled.judged, f"round {number}, {name}")
    _conclude(loop, number, prompts, prompts_stage, policies, sampled, drawing, labelling)
    return Sampled(sampled.judged, draws_so_far, sampled.completions, sampled.labels)


def _read(
    sampled: Sampled,
    draws: Sequence[Draw],
    drawn: Mapping[str, Stage],
    labelled: Mapping[str, Stage],
) -> None:
    """Add the rows of a pass in the order of its draws, and give every row its last label."""
    labels = labels_of(list(labelled.values()))
    rows = {
        (row.prompt_id, row.index): row
        for stage in drawn.values()
        for row in stage.read_all("completions", Completion)
    }
    known = [
        replace(one, label=labels.get((one.label.prompt_id, one.label.index), one.label))
        for one in sampled.judged
    ]
    keys = [(draw.prompt_id, draw.index) for draw in draws]
    sampled.judged[:] = [*known, *(Judged(completion=rows[k], label=labels[k]) for k in keys)]


def _blocks(name: str, draws: Sequence[Draw]) -> dict[str, list[Draw]]:
    """{stage: draws} of a pass; its first block bears the name of the pass."""
    blocks: dict[int, list[Draw]] = defaultdict(list)
    for draw in draws:
        blocks[block_of(draw.index)].append(draw)
    first = min(blocks)
    return {
        name if start == first else f"{name}_from_{start}": blocks[start]
        for start in sorted(blocks)
    }


def _check_draws(
    loop: Loop,
    draws: Sequence[Draw],
    before: Mapping[tuple[str, int], Draw],
    prompts: Mapping[str, Prompt],
) -> None:
    """A sampler numbers siblings densely and asks for nothing twice."""
    seen: dict[str, int] = defaultdict(int, Counter(prompt_id for prompt_id, _ in before))
    for draw in draws:
        if draw.prompt_id not in prompts or draw.index != seen[draw.prompt_id]:
            raise AlignError(
                f"sampler {loop.parts['sampler'].target} asked for {draw.prompt_id}/{draw.index}; "
                f"the next sibling of a prompt of this round is {seen[draw.prompt_id]}"
            )
        seen[draw.prompt_id] += 1


def _conclude(
    loop: Loop,
    number: int,
    prompts: Sequence[Prompt],
    prompts_stage: Stage,
    policies: Mapping[str, PolicyRef],
    sampled: Sampled,
    drawing: float,
    labelling: float,
) -> None:
    authors = {judged.completion.policy for judged in sampled.judged}
    used = {name: ref.content for name, ref in policies.items() if ref.content in authors}
    loop.conclude(
        "2_completions",
        sampled.completions,
        round_number=number,
        metrics=completion_metrics([j.completion for j in sampled.judged], len(prompts)),
        inputs={"prompts": prompts_stage.record.content, **used},
        seconds=drawing,
    )
    drawn = {f"completions_{n}": s.record.content for n, s in sampled.completions.items()}
    loop.conclude(
        "3_labels",
        sampled.labels,
        round_number=number,
        metrics=label_metrics(
            [judged.label for judged in sampled.judged],
            {prompt.id: prompt.stratum for prompt in prompts},
        ),
        inputs={"prompts": prompts_stage.record.content, **drawn},
        seconds=labelling,
    )


def completion_metrics(rows: Sequence[Completion], prompt_count: int) -> dict[str, float]:
    """Numbers of the draws: how many, how long, how sure, how often the same text."""
    tokens = sum(len(row.token_ids) for row in rows)
    continued = [row for row in rows if row.continues is not None]
    corrected = [row for row in rows if row.kind == "corrected"]
    # The policy's own: another author's draws, those asked for in other words and those that go on
    # from a chosen beginning say nothing of how sure it is of its answers to the prompts.
    natural = [
        row
        for row in rows
        if row.kind == "natural"
        and (row.author, row.messages, row.continues) == ("current", None, None)
    ]
    natural_tokens = sum(len(row.token_ids) for row in natural)
    distinct = len({(row.prompt_id, row.token_ids) for row in rows})
    metrics = {
        "sample/completions": len(rows),
        "sample/draws_per_prompt": len(rows) / prompt_count,
        "sample/corrections": len(corrected),
        "sample/generated_tokens": tokens - sum(row.kept_tokens for row in continued),
        "sample/length_tokens": tokens / len(rows),
        "sample/truncated_share": sum(row.finish == "length" for row in rows) / len(rows),
        "sample/duplicate_share": 1 - distinct / len(rows),
    }
    if natural_tokens:
        surprise = -sum(sum(row.logps) for row in natural)
        # E[-log p(y)] over the policy's own samples is its entropy, so this is unbiased at
        # temperature 1 without top-p or top-k.
        if all((r.temperature, r.top_p, r.top_k) == (1.0, 1.0, 0) for r in natural):
            metrics["sample/entropy_nats_per_token"] = surprise / natural_tokens
        metrics["sample/natural_logp_nats_per_token"] = -surprise / natural_tokens
    others = Counter(row.author for row in rows if row.author != "current")
    metrics |= {f"sample/by_{author}": count for author, count in sorted(others.items())}
    reworded = [row for row in rows if row.kind == "natural" and row.messages is not None]
    if reworded:
        tokens = sum(len(row.token_ids) for row in reworded)
        metrics["sample/reworded"] = len(reworded)
        metrics["sample/reworded_length_tokens"] = tokens / len(reworded)
    if continued:
        metrics["sample/continued"] = len(continued)
        metrics["sample/kept_tokens"] = sum(row.kept_tokens for row in continued)
    if corrected:
        count = sum(len(row.token_ids) for row in corrected)
        total = sum(row.prompt_logp or 0.0 for row in corrected)
        metrics["sample/corrected_logp_nats_per_token"] = total / count
    return metrics
