"""Completions -> labels: the verifier, then noise, then a count of what went unjudged."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from align_cli.errors import AlignError, Unscored
from align_cli.loop.context import Loop
from align_cli.rows import Completion, Judged, Label, Prompt
from align_cli.seeds import derive
from align_cli.store.cost import measured
from align_cli.store.stage import Stage


def label_completions(
    loop: Loop,
    completions: Stage,
    prompts: Mapping[str, Prompt],
    *,
    prompts_content: str,
    stream: tuple[int | str, ...] | None,
    title: str,
) -> Stage:
    """The stage with one label per completion, shard by shard.

    `stream` names the noise's random numbers; None judges without noise, as evaluation does.
    """
    shards = sorted(file.stem for file in completions.folder.glob("completions-*.parquet"))
    record = completions.record
    noise = None if stream is None else loop.parts["noise"]

    def work(stage: Stage) -> None:
        loop.reporter.begin(title, total=record.rows_out, unit="labels")
        for shard in shards:
            name = shard.replace("completions", "labels")
            rows = completions.read(shard, Completion)
            if not stage.has(name):
                with measured() as cost:
                    labels = judge(loop.parts["verifier"], noise, rows, prompts, stream)
                    cost.verifier_calls += len(rows)
                stage.write(name, labels, Label, cost)
            loop.reporter.advance(len(rows))
        stage.finish(rows_in=record.rows_out, rows_out=record.rows_out)
        loop.reporter.end("")

    facts = {
        "verifier": loop.parts["verifier"].made_from,
        "noise": None if noise is None else noise.made_from,
        "stream": None if stream is None else list(stream),
        "completions": record.content,
        "prompts": prompts_content,
    }
    return loop.make("labels", facts, work)


def judge(
    verifier: Callable[..., Sequence[Label]],
    noise: Callable[..., Label] | None,
    rows: Sequence[Completion],
    prompts: Mapping[str, Prompt],
    stream: tuple[int | str, ...] | None,
) -> list[Label]:
    """What the verifier says of each row, then what noise makes of it.

    Noise is seeded by (stream, prompt id, index): it does not know how many siblings there are,
    which rows it is asked with, or in which order.
    """
    asked = [prompts[row.prompt_id] for row in rows]
    labels = verifier(prompts=asked, completions=list(rows))
    for row, label in zip(rows, labels, strict=True):
        if (row.prompt_id, row.index) != (label.prompt_id, label.index):
            name = getattr(verifier, "target", verifier)
            raise AlignError(
                f"verifier {name} answered for {label.prompt_id}/{label.index} where "
                f"{row.prompt_id}/{row.index} was asked"
            )
    if noise is None or stream is None:
        return list(labels)
    return [
        noise(
            label=label,
            prompt=prompt,
            completion=row,
            seed=derive(*stream, row.prompt_id, row.index),
        )
        for label, prompt, row in zip(labels, asked, rows, strict=True)
    ]


def check_unscored(loop: Loop, judged: Sequence[Judged], where: str) -> None:
    """Stop when more than `verifier.max_unscored` of the labels say nothing."""
    allowed = float(loop.parts["verifier"].loop_settings["max_unscored"])
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
