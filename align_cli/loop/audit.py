"""A held-out verifier looks at the round's training answers, beside the one that is trained on."""

import time
from collections.abc import Sequence

from align_cli.loop.audit_numbers import audit_metrics
from align_cli.loop.context import Loop
from align_cli.loop.labelling import Judging, label_drawn, labels_of
from align_cli.loop.sampling import Sampled
from align_cli.loop.selection import ONE_OF_EACH, one_kind
from align_cli.rows import Prompt
from align_cli.store.stage import Stage
from align_cli.training_rows import Pair


def audit(
    loop: Loop,
    number: int,
    prompts: Sequence[Prompt],
    prompts_stage: Stage,
    sampled: Sampled,
    pairs: Stage,
) -> None:
    """Judge what was drawn by `evaluation.verifier`; nothing where that is the run's own.

    It changes nothing that is trained: its labels lie beside the round's, in 4_audit, and its
    numbers say how far the verifier that is trained on can be believed, by round and by n. What it
    cannot judge is counted and stops nothing.
    """
    auditor = loop.parts["examiner"]
    if auditor.made_from == loop.parts["verifier"].made_from or not _wanted(loop):
        return
    started = time.perf_counter()
    judging = Judging(
        loop=loop,
        verifier=auditor,
        prompts={prompt.id: prompt for prompt in prompts},
        prompts_content=prompts_stage.record.content,
        stream=None,
        title=f"round {number} audit",
    )
    labelled = label_drawn(judging, sampled.completions)
    plain = pairs_of(loop, pairs)
    rule = loop.parts["pairing"].target.rpartition(".")[2]
    metrics = audit_metrics(
        sampled.judged,
        labels_of(list(labelled.values())),
        plain,
        {prompt.id: prompt.stratum for prompt in prompts},
        predicts=rule in ONE_OF_EACH and one_kind(sampled.judged),
    )
    inputs = {f"completions_{n}": s.record.content for n, s in sampled.completions.items()}
    loop.conclude(
        "4_audit",
        labelled,
        round_number=number,
        metrics=metrics,
        inputs={**inputs, "pairs": pairs.record.content},
        seconds=time.perf_counter() - started,
    )


def _wanted(loop: Loop) -> bool:
    return bool(loop.parts["evaluation"].loop_settings["audit"])


def pairs_of(loop: Loop, stage: Stage) -> list[Pair]:
    """The round's pairs; none where its rows are groups."""
    return stage.read_all("pairs", Pair) if loop.parts["pairing"].unit == "pairs" else []
