"""Stage 6: how good a policy is on held-out prompts, and how far it has moved."""

import time
from collections.abc import Mapping, Sequence
from math import sqrt

from align_cli.evaluation.scores import score_rows
from align_cli.evaluation.summary import summary
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.examination import examine
from align_cli.loop.generation import Models, Request, complete
from align_cli.loop.labelling import Judging, check_unscored, label_drawn, labels_of
from align_cli.model.scoring import score_sequences
from align_cli.rows import Completion, Judged, Prompt, Score
from align_cli.store import fingerprint
from align_cli.store.cost import Cost, measured
from align_cli.store.stage import Stage


def evaluate(
    loop: Loop,
    number: int | None,
    prompts: Sequence[Prompt],
    prompts_stage: Stage,
    policies: Sequence[PolicyRef],
    against: Mapping[str, PolicyRef],
) -> Mapping[str, float]:
    """Score the last of `policies`; `against` names the policies its drift is measured from.

    Random numbers are named by prompt and sample, not by round: policies of one run (and cells of
    one study) answer with the same luck, which is what makes their differences sharp. An
    evaluation that asks for the policy itself draws nothing.
    """
    if "policy" in loop.parts["evaluation"].needs:
        return examine(loop, number, prompts, prompts_stage, policies, against)
    policy = policies[-1]
    started = time.perf_counter()
    title = "start" if number is None else f"round {number}"
    by_id = {prompt.id: prompt for prompt in prompts}
    draws = loop.parts["evaluation"](prompts=prompts)
    request = Request(draws, by_id, Models(loop, {"current": policy}), (loop.seed, "evaluation"))
    drawn = complete(loop, request, f"{title} evaluate")
    examiner = loop.parts["examiner"]
    judging = Judging(
        loop=loop,
        verifier=examiner,
        prompts=by_id,
        prompts_content=prompts_stage.record.content,
        stream=None,
        title=f"{title} judge",
    )
    [labelled] = label_drawn(judging, {"completions": drawn}).values()

    def work(stage: Stage) -> None:
        with measured() as cost:
            judged = _judged(drawn, labelled)
            check_unscored(examiner, judged, f"{title}, evaluation")
            rows = score_rows(prompts, judged)
            drift = _drift(loop, by_id, judged, against, cost)
        stage.write("scores-00000", rows, Score, cost)
        metrics = {**summary(rows), **drift}
        stage.finish(rows_in=len(draws), rows_out=len(rows), metrics=metrics)

    facts = {
        "completions": drawn.record.content,
        "labels": labelled.record.content,
        "against": {name: reference.content for name, reference in against.items()},
        "code": [
            fingerprint.of_code("align_cli.evaluation.scores.score_rows"),
            fingerprint.of_code("align_cli.evaluation.summary.summary"),
        ],
        "max_unscored": examiner.loop_settings["max_unscored"],
    }
    stage = loop.make("scores", facts, work)
    stage.made_here[0] |= drawn.made_here[0] or labelled.made_here[0]
    metrics = stage.record.metrics
    loop.conclude(
        "6_scores",
        {"completions": drawn, "labels": labelled, "scores": stage},
        round_number=number,
        metrics=metrics,
        inputs={"policy": policy.content, "prompts": prompts_stage.record.content},
        seconds=time.perf_counter() - started,
    )
    return metrics


def _judged(drawn: Stage, labelled: Stage) -> list[Judged]:
    rows = drawn.read_all("completions", Completion)
    labels = labels_of([labelled])
    return [Judged(completion=row, label=labels[row.prompt_id, row.index]) for row in rows]


def _drift(
    loop: Loop,
    prompts: Mapping[str, Prompt],
    judged: Sequence[Judged],
    against: Mapping[str, PolicyRef],
    cost: Cost,
) -> dict[str, float]:
    """Monte Carlo KL(policy || other) per completion, from the policy's own samples.

        KL = mean over samples of log policy(y|x) - log other(y|x)      [nats], with standard error

    Unbiased only for samples of the policy itself, so greedy, tempered and cut-down (top-p, top-k)
    draws are left out; where none remains nothing is reported.
    """
    own = [
        j.completion
        for j in judged
        if (j.completion.temperature, j.completion.top_p, j.completion.top_k) == (1.0, 1.0, 0)
    ]
    if not own:
        return {}
    tokens = sum(len(row.token_ids) for row in own)
    surprise = -sum(sum(row.logps) for row in own)
    metrics = {"eval/entropy_nats_per_token": surprise / tokens}
    seen: dict[str, list[float]] = {}
    for name, other in against.items():
        if other.content not in seen:
            model = loop.load(other)
            prompt_ids = [model.encode_prompt(prompts[row.prompt_id].messages) for row in own]
            seen[other.content] = score_sequences(
                model, prompt_ids, [row.token_ids for row in own], cost
            )
        ratios = [sum(r.logps) - q for r, q in zip(own, seen[other.content], strict=True)]
        mean = sum(ratios) / len(ratios)
        metrics[f"eval/kl_{name}_nats"] = mean
        if len(ratios) > 1:
            variance = sum((ratio - mean) ** 2 for ratio in ratios) / (len(ratios) - 1)
            metrics[f"eval/kl_{name}_stderr_nats"] = sqrt(variance / len(ratios))
    return metrics
