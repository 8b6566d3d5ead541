"""Stages 2 and 3: the sampler is asked in passes; each pass is drawn, then judged.

What a sampler wants drawn but not judged goes to the round's pool (2_pool); once it has chosen from
it, the chosen are judged like any draw.

A pass is made in blocks of siblings (loop/pool.py), a stage each: runs that want more or fewer
draws of the same kind share the blocks that both want.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from align_cli.errors import AlignError
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.generation import Models, Request, complete
from align_cli.loop.labelling import Judging, check_unscored, label_drawn, labels_of
from align_cli.loop.pool import block_of
from align_cli.loop.pool_of_round import (
    Pool,
    add_features,
    check_chosen,
    chosen_stage,
    conclude_pool,
)
from align_cli.loop.verdicts import forced_metrics, label_metrics
from align_cli.rows import Completion, Draw, Judged, Prompt, Wanted
from align_cli.seeds import derive
from align_cli.store.stage import Stage


@dataclass(frozen=True)
class Sampled:
    """Everything drawn and judged in one round."""

    judged: list[Judged]
    """The answers; forced ones, which only measure others, are in the stages alone."""
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
    before: Sequence[Sampled],
) -> Sampled:
    """Ask the sampler until it wants nothing more; `before` is what earlier rounds drew.

    Labels are read anew after every pass: a verifier that judges siblings together gives another
    label to an answer that has got new ones.
    """
    judging = Judging(
        loop=loop,
        verifier=loop.parts["verifier"],
        prompts={prompt.id: prompt for prompt in prompts},
        prompts_content=prompts_stage.record.content,
        stream=(loop.seed, "noise", number),
        title=f"round {number} label",
        earlier=[[one.label for one in answers_of(each.judged)] for each in before],
        earlier_contents=[each.content for each in before],
    )
    work = _Round(loop, number, judging, Models(loop, policies))
    while draws := work.asked(prompts):
        work.carry_out(draws)
    _conclude(work, policies)
    return Sampled(work.answers, work.draws, work.completions, work.labels)


@dataclass
class _Round:
    """A round's draws in the making."""

    loop: Loop
    number: int
    judging: Judging
    models: Models
    judged: list[Judged] = field(default_factory=list)
    draws: dict[tuple[str, int], Draw] = field(default_factory=dict)
    completions: dict[str, Stage] = field(default_factory=dict)
    labels: dict[str, Stage] = field(default_factory=dict)
    pool: Pool = field(default_factory=Pool)
    choice: dict[str, float] = field(default_factory=dict)
    """Numbers of how the sampler chose."""
    passes: int = 0
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """{place: seconds}"""

    @property
    def answers(self) -> list[Judged]:
        """What may be trained on."""
        return answers_of(self.judged)

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """The round's prompts by id."""
        return self.judging.prompts

    def asked(self, prompts: Sequence[Prompt]) -> Sequence[Draw]:
        """What the sampler wants next."""
        needs = self.loop.parts["sampler"].needs
        policy = {"policy": self.models.of("current")} if "policy" in needs else {}
        with self._clock("2_completions"):
            asked = self.loop.parts["sampler"](
                prompts=prompts,
                judged=self.judged,
                pool=list(self.pool.rows.values()),
                features=self.pool.features,
                seed=derive(self.loop.seed, "sampler", self.number),
                **policy,
            )
        wanted = asked if isinstance(asked, Wanted) else Wanted(draws=asked, metrics={})
        self.choice |= wanted.metrics
        return wanted.draws

    def carry_out(self, draws: Sequence[Draw]) -> None:
        """One pass: fill the pool, draw the rest, judge what is to be judged."""
        name = f"pass_{self.passes}"
        self.passes += 1
        _check_draws(self.loop, draws, self.draws, self.prompts)
        chosen = [d for d in draws if d.judge and (d.prompt_id, d.index) in self.draws]
        fresh = [d for d in draws if (d.prompt_id, d.index) not in self.draws]
        self.draws.update({(draw.prompt_id, draw.index): draw for draw in draws})
        self._fill(name, [draw for draw in fresh if not draw.judge])
        drawn: dict[str, Stage] = {}
        with self._clock("2_completions"):
            if chosen:
                drawn[f"{name}_chosen"] = chosen_stage(self.loop, self.pool, chosen)
            for block, wanted in _blocks(name, [draw for draw in fresh if draw.judge]).items():
                drawn[block] = self._draw(wanted)
        if drawn:
            self._judge(drawn, [draw for draw in draws if draw.judge])
            check_unscored(self.judging.verifier, self.judged, f"round {self.number}, {name}")

    def _fill(self, name: str, draws: Sequence[Draw]) -> None:
        """Draw what is not to be judged, and look at it where the sampler asks for features."""
        for block, wanted in _blocks(name, draws).items():
            with self._clock("2_pool"):
                self.pool.add(block, self._draw(wanted))
            if "features" in self.loop.parts["sampler"].needs:
                with self._clock("2_features"):
                    title = f"round {self.number} features"
                    add_features(self.loop, self.pool, block, self.prompts, self.models, title)

    def _draw(self, draws: Sequence[Draw]) -> Stage:
        stream = (self.loop.seed, "draw", self.number)
        request = Request(draws, self.prompts, self.models, stream)
        return complete(self.loop, request, f"round {self.number} generate")

    def _judge(self, drawn: Mapping[str, Stage], draws: Sequence[Draw]) -> None:
        """Add the rows of a pass in the order of its draws, and give every row its last label."""
        with self._clock("3_labels"):
            labelled = label_drawn(self.judging, drawn, list(self.completions.values()))
            labels = labels_of(list(labelled.values()))
        self.completions.update(drawn)
        self.labels.update(labelled)
        with self._clock("2_completions"):
            rows = {
                (row.prompt_id, row.index): row
                for stage in drawn.values()
                for row in stage.read_all("completions", Completion)
            }
        known = [
            replace(one, label=labels.get((one.label.prompt_id, one.label.index), one.label))
            for one in self.judged
        ]
        keys = [(draw.prompt_id, draw.index) for draw in draws]
        self.judged = [*known, *(Judged(completion=rows[k], label=labels[k]) for k in keys)]

    @contextmanager
    def _clock(self, place: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent[place] += time.perf_counter() - began


def answers_of(judged: Sequence[Judged]) -> list[Judged]:
    """All that is judged but forced answers, which nothing is trained on."""
    return [one for one in judged if one.completion.kind != "forced"]


def _blocks(name: str, draws: Sequence[Draw]) -> dict[str, list[Draw]]:
    """{stage: draws} of a pass; its first block bears the name of the pass."""
    blocks: dict[int, list[Draw]] = defaultdict(list)
    for draw in draws:
        blocks[block_of(draw.index)].append(draw)
    first = min(blocks, default=0)
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
        if draw.judge and (earlier := before.get((draw.prompt_id, draw.index))) is not None:
            check_chosen(loop, draw, earlier)
            continue
        if draw.prompt_id not in prompts or draw.index != seen[draw.prompt_id]:
            raise AlignError(
                f"sampler {loop.parts['sampler'].target} asked for {draw.prompt_id}/{draw.index}; "
                f"the next sibling of a prompt of this round is {seen[draw.prompt_id]}"
            )
        seen[draw.prompt_id] += 1


def _conclude(work: _Round, policies: Mapping[str, PolicyRef]) -> None:
    asked = {"prompts": work.judging.prompts_content}
    rows = {(j.completion.prompt_id, j.completion.index): j.completion for j in work.judged}
    unjudged = work.pool.rows.keys() - rows.keys()
    rows = {**work.pool.rows, **rows}
    authors = {row.policy for row in rows.values()}
    asked |= {name: ref.content for name, ref in policies.items() if ref.content in authors}
    numbers = completion_metrics(list(rows.values()), len(work.prompts))
    pools = conclude_pool(work.loop, work.number, work.pool, asked, work.spent)
    if pools:
        numbers["sample/unjudged"] = len(unjudged)
    work.loop.conclude(
        "2_completions",
        work.completions,
        round_number=work.number,
        metrics={**numbers, **work.choice},
        inputs={**asked, **pools},
        seconds=work.spent["2_completions"],
    )
    drawn = {f"completions_{n}": s.record.content for n, s in work.completions.items()}
    work.loop.conclude(
        "3_labels",
        work.labels,
        round_number=work.number,
        metrics={
            **label_metrics(
                [judged.label for judged in work.answers],
                {prompt.id: prompt.stratum for prompt in work.prompts.values()},
            ),
            **forced_metrics(work.judged),
        },
        inputs={"prompts": work.judging.prompts_content, **drawn},
        seconds=work.spent["3_labels"],
    )


def completion_metrics(rows: Sequence[Completion], prompt_count: int) -> dict[str, float]:
    """Numbers of the draws: how many, how long, how sure, how often the same text."""
    generated = sum(len(row.token_ids) - row.kept_tokens - row.forced_tokens for row in rows)
    # Forced answers are counted and paid for; what answers are like is told by the others.
    whole = [row for row in rows if row.kind != "forced"]
    tokens = sum(len(row.token_ids) for row in whole)
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
    distinct = len({(row.prompt_id, row.token_ids) for row in whole})
    metrics = {
        "sample/completions": len(rows),
        "sample/draws_per_prompt": len(rows) / prompt_count,
        "sample/corrections": len(corrected),
        "sample/generated_tokens": generated,
        "sample/length_tokens": tokens / len(whole),
        "sample/truncated_share": sum(row.finish == "length" for row in whole) / len(whole),
        "sample/duplicate_share": 1 - distinct / len(whole),
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
    if len(whole) < len(rows):
        metrics["sample/forced"] = len(rows) - len(whole)
    if corrected:
        count = sum(len(row.token_ids) for row in corrected)
        total = sum(row.prompt_logp or 0.0 for row in corrected)
        metrics["sample/corrected_logp_nats_per_token"] = total / count
    return metrics
