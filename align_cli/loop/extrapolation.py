"""Momentum across rounds: the policy that a round hands on lies past the one that it trained."""

import shutil
import time
from collections.abc import Sequence
from math import sqrt

import torch

from align_cli.errors import AlignError
from align_cli.loop.context import Loop, PolicyRef
from align_cli.loop.plan_view import EXTRAPOLATED
from align_cli.loop.sampling import Sampled
from align_cli.model.token_masks import FILE as MASKS_FILE
from align_cli.rows import Judged
from align_cli.schedule.across_rounds import extrapolation_weight, momentum_age
from align_cli.store import fingerprint
from align_cli.store.cost import measured
from align_cli.store.stage import Stage


def extrapolated(
    loop: Loop, number: int, trained: Sequence[PolicyRef], rounds: Sequence[Sampled]
) -> PolicyRef:
    """The policy that enters round `number + 1`; `trained[-1]` is what round `number` trained.

        theta = th_hat + a (th_hat - th_hat_before)        weight by weight, a of the schedule

    Both th_hat are checkpoints as training left them, never extrapolated ones. The first round
    has no step before it and hands on what it trained; so does every round with extrapolation 0.
    """
    if loop.plan.extrapolation == 0 or number == 0:
        return trained[-1]
    started = time.perf_counter()
    scores = [mean_score(sampled.judged) for sampled in rounds] if _restarts(loop) else None
    age = number if scores is None else momentum_age(loop.plan, scores)
    weight = extrapolation_weight(loop.plan, age)
    after, before = trained[-1], trained[-2]

    def work(stage: Stage) -> None:
        with measured() as cost:
            norm = _step_past(loop, after, before, weight, stage)
        metrics = {"extrapolation/step_norm": norm, "extrapolation/past_norm": weight * norm}
        stage.finish(rows_in=2, rows_out=1, metrics=metrics, extra_cost=cost)

    facts = {
        "after": after.content,
        "before": before.content,
        "weight": weight,
        "code": fingerprint.of_code("align_cli.loop.extrapolation.extrapolated"),
        "versions": loop.versions,
    }
    stage = loop.make("policy", facts, work)
    told = {"extrapolation/weight": weight, "extrapolation/age": age}
    if scores is not None:
        told |= {"extrapolation/score": scores[-1], "extrapolation/restarted": float(age == 0)}
    loop.conclude(
        EXTRAPOLATED,
        {EXTRAPOLATED: stage},
        round_number=number,
        metrics={**stage.record.metrics, **told},
        inputs={"policy": after.content, "before": before.content},
        seconds=time.perf_counter() - started,
    )
    return PolicyRef(stage.folder, stage.record.content)


def mean_score(judged: Sequence[Judged]) -> float:
    """Of the current policy's own unaided answers, as the run's verifier (and noise) sees them."""
    scores = [
        j.label.score
        for j in judged
        if j.label.score is not None
        and j.completion.kind == "natural"
        and (j.completion.author, j.completion.continues) == ("current", None)
    ]
    if not scores:
        raise AlignError(
            "schedule.restart=score_fell compares the scores of the current policy's own answers "
            "round by round, and this sampler drew none that were judged; set restart=never"
        )
    return sum(scores) / len(scores)


def _restarts(loop: Loop) -> bool:
    return loop.plan.restart != "never"


@torch.inference_mode()
def _step_past(
    loop: Loop, after: PolicyRef, before: PolicyRef, weight: float, stage: Stage
) -> float:
    """Save th_hat + a (th_hat - th_hat_before); the length of the step between them (L2)."""
    model, earlier = loop.load(after), loop.load(before)
    squares = 0.0
    for mine, theirs in zip(model.network.parameters(), earlier.network.parameters(), strict=True):
        # In float32 at least: a step is small beside the weights that it lies between.
        wide = torch.promote_types(mine.dtype, torch.float32)
        step = mine.to(wide) - theirs.to(wide)
        squares += float(torch.linalg.vector_norm(step)) ** 2
        mine.copy_(mine.to(wide) + weight * step)
    model.save(stage.folder)
    masks = after.folder / MASKS_FILE
    if masks.exists():
        # Learned beside the policy, and no part of it: they go on from where training left them.
        shutil.copyfile(masks, stage.folder / MASKS_FILE)
    return sqrt(squares)
