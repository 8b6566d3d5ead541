"""Stage 6 of a policy that can be examined exactly: no answer is drawn and none is judged."""

import time
from collections.abc import Mapping, Sequence

from align_cli.errors import AlignError
from align_cli.evaluation.examined import Examined
from align_cli.loop.context import Loop, PolicyRef
from align_cli.rows import Prompt, Score
from align_cli.store.cost import measured
from align_cli.store.stage import Stage


def examine(
    loop: Loop,
    number: int | None,
    prompts: Sequence[Prompt],
    prompts_stage: Stage,
    policies: Sequence[PolicyRef],
    against: Mapping[str, PolicyRef],
) -> Mapping[str, float]:
    """Ask the evaluation for numbers of the last of `policies`; it also knows the one before."""
    started = time.perf_counter()
    part = loop.parts["evaluation"]
    policy, before = policies[-1], policies[-2] if len(policies) > 1 else None

    def work(stage: Stage) -> None:
        with measured() as cost:
            found = part(
                prompts=prompts,
                policy=loop.load(policy),
                before=None if before is None else loop.load(before),
                against={name: loop.load(other) for name, other in against.items()},
            )
        if not isinstance(found, Examined) or len(found.scores) != len(prompts):
            raise AlignError(
                f"evaluation {part.target} asks for the policy, so it must return an Examined with "
                f"a score for each of the {len(prompts)} held-out prompts; got {found!r:.80}"
            )
        stage.write("scores-00000", found.scores, Score, cost)
        metrics = {f"eval/{name}": value for name, value in found.metrics.items()}
        stage.finish(rows_in=len(prompts), rows_out=len(found.scores), metrics=metrics)

    facts = {
        "evaluation": part.made_from,
        "prompts": prompts_stage.record.content,
        "policy": policy.content,
        "before": None if before is None else before.content,
        "against": {name: other.content for name, other in against.items()},
        "versions": dict(loop.versions),
    }
    stage = loop.make("scores", facts, work)
    loop.conclude(
        "6_scores",
        {"scores": stage},
        round_number=number,
        metrics=stage.record.metrics,
        inputs={"policy": policy.content, "prompts": prompts_stage.record.content},
        seconds=time.perf_counter() - started,
    )
    return stage.record.metrics
