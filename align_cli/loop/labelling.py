"""Completions -> labels: the verifier, then noise, then a count of what went unjudged."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from align_cli.errors import Unscored
from align_cli.loop.context import Loop, Part
from align_cli.loop.judging import judge, sibling_sets
from align_cli.loop.sources import model_facts
from align_cli.rows import Completion, Judged, Label, Prompt
from align_cli.store.cost import measured
from align_cli.store.stage import Stage


@dataclass(frozen=True)
class Judging:
    """Who judges whose answers, and under which random numbers."""

    loop: Loop
    verifier: Part
    prompts: Mapping[str, Prompt]
    prompts_content: str
    stream: tuple[int | str, ...] | None
    """Names the noise's random numbers; None judges without noise, as evaluation does."""
    title: str
    earlier: Sequence[Sequence[Label]] = ()
    """Labels of every finished round, as they were trained on; for a verifier that asks."""
    earlier_contents: Sequence[Sequence[str]] = ()
    """Fingerprints of the stages that those are of."""

    @property
    def noise(self) -> Part | None:
        """What is done to the labels."""
        return None if self.stream is None else self.loop.parts["noise"]

    def facts(self) -> dict[str, object]:
        """What the labels depend on besides the completions."""
        return {
            **model_facts(self.verifier, self.loop.versions),
            "verifier": self.verifier.made_from,
            "noise": None if self.noise is None else self.noise.made_from,
            "stream": None if self.stream is None else list(self.stream),
            "prompts": self.prompts_content,
            **({"earlier": self.earlier_contents} if "earlier" in self.verifier.needs else {}),
        }


def label_drawn(
    judging: Judging, drawn: Mapping[str, Stage], before: Sequence[Stage] = ()
) -> dict[str, Stage]:
    """{name: labels} of what was drawn at one time; `before` is what was drawn earlier.

    A verifier that asks for `completions` labels each stage of them by itself, in its shards. One
    that asks for `siblings` labels all answers so far to the prompts that were drawn for, in one
    stage under the first name: an answer that has new siblings is judged again, and its later
    label stands.
    """
    if judging.verifier.unit == "siblings":
        first = next(iter(drawn))
        return {first: _label_siblings(judging, list(drawn.values()), before)}
    return {name: _label_stage(judging, stage) for name, stage in drawn.items()}


def _label_stage(judging: Judging, completions: Stage) -> Stage:
    """One label per completion, shard by shard."""
    shards = sorted(file.stem for file in completions.folder.glob("completions-*.parquet"))
    record, reporter = completions.record, judging.loop.reporter

    def work(stage: Stage) -> None:
        reporter.begin(judging.title, total=record.rows_out, unit="labels")
        for shard in shards:
            name = shard.replace("completions", "labels")
            rows = completions.read(shard, Completion)
            if not stage.has(name):
                with measured() as cost:
                    labels = judge(judging.verifier, judging.noise, rows, judging.prompts,
                                   judging.stream, judging.earlier)  # fmt: skip
                    cost.verifier_calls += len(rows)
                stage.write(name, labels, Label, cost)
            reporter.advance(len(rows))
        stage.finish(rows_in=record.rows_out, rows_out=record.rows_out)
        reporter.end("")

    return judging.loop.make("labels", {**judging.facts(), "completions": record.content}, work)


def _label_siblings(judging: Judging, fresh: Sequence[Stage], before: Sequence[Stage]) -> Stage:
    """One label per answer to a prompt that has a fresh one, whole prompts to a shard."""
    reporter = judging.loop.reporter
    shard_draws = int(judging.loop.parts["engine"].loop_settings["shard_draws"])

    def work(stage: Stage) -> None:
        sets = sibling_sets(
            [row for each in fresh for row in each.read_all("completions", Completion)],
            [row for each in before for row in each.read_all("completions", Completion)],
        )
        count = sum(map(len, sets))
        reporter.begin(judging.title, total=count, unit="labels")
        for number, some in enumerate(_shards(sets, shard_draws)):
            name, rows = f"labels-{number:05d}", [row for members in some for row in members]
            if not stage.has(name):
                with measured() as cost:
                    labels = judge(judging.verifier, judging.noise, rows, judging.prompts,
                                   judging.stream, judging.earlier)  # fmt: skip
                    cost.verifier_calls += len(rows)
                stage.write(name, labels, Label, cost)
            reporter.advance(len(rows))
        stage.finish(rows_in=count, rows_out=count)
        reporter.end("")

    facts = {
        **judging.facts(),
        "completions": [stage.record.content for stage in fresh],
        "siblings": [stage.record.content for stage in before],
        "shard_draws": shard_draws,
    }
    return judging.loop.make("labels", facts, work)


def _shards(
    sets: Sequence[list[Completion]], shard_draws: int
) -> Iterator[Sequence[list[Completion]]]:
    """Runs of sets that hold `shard_draws` answers or just more."""
    some: list[list[Completion]] = []
    for members in sets:
        some.append(members)
        if sum(map(len, some)) >= shard_draws:
            yield some
            some = []
    if some:
        yield some


def labels_of(stages: Sequence[Stage]) -> dict[tuple[str, int], Label]:
    """{(prompt id, index): its last label}, the stages in the order in which they were made."""
    return {
        (label.prompt_id, label.index): label
        for stage in stages
        for label in stage.read_all("labels", Label)
    }


def check_unscored(verifier: Part, judged: Sequence[Judged], where: str) -> None:
    """Stop when more than `verifier.max_unscored` of the labels say nothing."""
    allowed = float(verifier.loop_settings["max_unscored"])
    silent = [j.label for j in judged if j.label.score is None]
    share = len(silent) / max(1, len(judged))
    if share <= allowed:
        return
    reasons = Counter(label.verdict for label in silent)
    first = silent[0]
    raise Unscored(
        f"{where}: {len(silent)} of {len(judged)} completions ({share:.1%}) went unjudged "
        f"({', '.join(f'{name} {count}' for name, count in reasons.most_common())}); "
        f"verifier.max_unscored allows {allowed:.1%}. First: prompt {first.prompt_id}, "
        f"{first.detail or first.verdict}. Mend the data or the verifier, or raise "
        "verifier.max_unscored; all rows so far are kept"
    )
