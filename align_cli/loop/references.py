"""Which policy a round is measured against."""

from collections.abc import Sequence

import torch

from align_cli.loop.context import Loop, PolicyRef
from align_cli.store.cost import measured
from align_cli.store.stage import Stage


def reference_of(loop: Loop, number: int, policies: Sequence[PolicyRef]) -> PolicyRef:
    """The reference of round `number`; `policies[k]` is the policy that enters round k.

    initial: policies[0].  previous: policies[number].  every_m: policies[m floor(number / m)].
    ema: e_0 = policies[0], e_k = d e_(k-1) + (1 - d) policies[k], weight by weight.
    """
    plan = loop.plan
    if plan.reference == "initial":
        return policies[0]
    if plan.reference == "previous":
        return policies[number]
    if plan.reference == "every_m":
        assert plan.reference_every is not None
        return policies[number // plan.reference_every * plan.reference_every]
    assert plan.ema_decay is not None
    average = policies[0]
    for policy in policies[1 : number + 1]:
        average = _moved(loop, average, policy, plan.ema_decay)
    return average


def _moved(loop: Loop, average: PolicyRef, policy: PolicyRef, decay: float) -> PolicyRef:
    def work(stage: Stage) -> None:
        with measured() as cost, torch.inference_mode():
            model, other = loop.load(average), loop.load(policy)
            for mine, theirs in zip(
                model.network.parameters(), other.network.parameters(), strict=True
            ):
                mine.mul_(decay).add_(theirs, alpha=1 - decay)
            model.save(stage.folder)
        stage.finish(rows_in=2, rows_out=1, extra_cost=cost)

    facts = {"average": average.content, "policy": policy.content, "decay": decay}
    stage = loop.make("policy", facts, work)
    return PolicyRef(stage.folder, stage.record.content)
