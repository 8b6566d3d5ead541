"""A round of a bandit without any optimiser: the loss says where it is least, and there we go."""

import math

import torch
from torch import Tensor

from align_cli.bandit.network import BanditNetwork
from align_cli.errors import ConfigError
from align_cli.model.language_model import LanguageModel
from align_cli.store.cost import Cost
from align_cli.train.group_batches import GroupTask
from align_cli.train.steps import Task

WHO = "schedule=closed_form"
"""For messages."""


@torch.no_grad()
def target_of(model: LanguageModel, task: Task[LanguageModel], cost: Cost) -> Tensor | None:
    """Where a bandit's loss of groups is least, if it states that, or a refusal: no policy is."""
    if not isinstance(task, GroupTask) or not isinstance(model.network, BanditNetwork):
        return None
    target = task.losses(model, range(len(task)), cost, 0).target
    return None if target is None else target()


@torch.no_grad()
def put_at_target(
    model: LanguageModel, task: Task[LanguageModel], floor: float | None, cost: Cost
) -> None:
    """Set a tabular policy to reference exp(target), context by context.

    An arm whose target probability is 0 gets `floor`, and the others give way in proportion.
    """
    network = model.network
    if not isinstance(network, BanditNetwork) or network.config.features is not None:
        raise ConfigError(
            f"{WHO} sets every probability by itself, and this policy is a "
            f"{type(network).__name__} that cannot hold them all; choose policy=tabular, or "
            "schedule=to_convergence"
        )
    if not isinstance(task, GroupTask) or "ref_groups" not in task.known:
        raise ConfigError(
            f"{WHO} wants a loss on groups with a reference, and this one is on {task.unit}; "
            "choose loss=opo_ratio loss.share=reference, or schedule=to_convergence"
        )
    target_C = target_of(model, task, cost)
    if target_C is None:
        raise ConfigError(
            f"{WHO}: this loss states no closed form; opo_ratio and gopo do with "
            "loss.share=reference and loss.coordinate=ratio or bounded_ratio. Else choose "
            "schedule=to_convergence"
        )
    log_XK = network.arms.log_reference_XK
    wanted_XK = torch.full_like(log_XK, torch.nan)
    ends = iter(target_C.to(log_XK).tolist())
    for example, row in zip(task.examples, task.known["ref_groups"], strict=True):
        context = int(network.context_of(torch.tensor(example.prompt_ids[-1])))
        for (arm, *_), logp in zip(example.completion_ids, row.member_logps, strict=True):
            wanted_XK[context, arm] = logp + next(ends)
    if missing := int(wanted_XK.isnan().sum()):
        raise ConfigError(
            f"{WHO}: the round's groups lack {missing} of {wanted_XK.numel()} arms; set "
            "sampler=every_arm pairing=siblings task.prompts_per_round=null"
        )
    dead = wanted_XK.isneginf().nonzero().tolist()
    if dead and floor is None:
        raise ConfigError(
            f"{WHO}: round {task.round_number} leaves arm a{dead[0][1]} of context x{dead[0][0]} "
            f"(and {len(dead) - 1} more) probability 0, and no later ratio to it is a number; "
            "raise loss.mu, or say what such arms get: schedule.floor=1e-300"
        )
    if dead:
        assert floor is not None
        wanted_XK = wanted_XK.clamp(min=math.log(floor)).log_softmax(-1)
    network.parameter.copy_(wanted_XK - log_XK)
