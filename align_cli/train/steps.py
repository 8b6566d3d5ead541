"""One round of preference optimisation: examples in, better weights and a trail of numbers out.

The loop over optimiser steps is the same whatever an example is: a pair, or a group of siblings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from align_cli.errors import NonFinite
from align_cli.model.flops import backward_products, forward_flops
from align_cli.seeds import derive
from align_cli.store.cost import Cost
from align_cli.train.checkpoint import load_training, save_training
from align_cli.train.curve import multiplier
from align_cli.train.numbers import Means, Numbers
from align_cli.train.optimisation import Optimisation, Trainable
from align_cli.train.optimiser import adamw, update

TOKENS_AT_ONCE = 16_384
"""Padded tokens per forward pass where no gradient is kept, or one micro-batch if that is more."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What a micro-batch of examples gives."""

    loss_N: Tensor
    """One value per example, unreduced."""
    numbers: Numbers
    target: Callable[[], Tensor] | None = None
    """Of groups whose loss knows it: log-ratios of all members at which it is least [nats]."""


Model_contra = TypeVar("Model_contra", bound=Trainable, contravariant=True)


class Task(Protocol[Model_contra]):
    """Everything one round of training is a function of."""

    @property
    def unit(self) -> str:
        """What an example is, in the plural."""

    @property
    def side(self) -> nn.Module | None:
        """What learns beside the policy, if anything does."""

    @property
    def plan(self) -> Optimisation:
        """The optimisation."""

    @property
    def seed(self) -> int:
        """Of the order of the examples."""

    @property
    def round_number(self) -> int:
        """The round that trains."""

    def __len__(self) -> int:
        """How many examples there are."""

    def prompt_id(self, place: int) -> str:
        """The prompt of an example, for messages."""

    def lengths(self, place: int) -> list[int]:
        """Tokens of every sequence of an example that gradients flow through, prompts included."""

    def losses(
        self, model: Model_contra, places: Sequence[int], cost: Cost, step: int | None = None
    ) -> Losses:
        """The loss of these examples; its forward passes are added to `cost`.

        `step` names the random numbers of what is drawn; None: after the last step.
        """


Model = TypeVar("Model", bound=Trainable)


def train(
    model: Model,
    task: Task[Model],
    *,
    work: Path,
    on_start: Callable[[int, int], None],
    on_step: Callable[[int, Mapping[str, float]], None],
) -> Cost:
    """Take every step of the plan, going on from the last checkpoint in `work`.

    `on_start(done, total)` tells where it begins, `on_step(step, metrics)` what each step gave.
    """
    plan, cost = task.plan, Cost()
    batches = batch_order(len(task), plan, task.seed, task.round_number)
    learner: nn.Module = model.network
    if task.side is not None:
        learner = nn.ModuleDict({"policy": model.network, "side": task.side})
    optimiser = adamw(
        learner,
        weight_decay=plan.weight_decay,
        beta1=plan.adam_beta1,
        beta2=plan.adam_beta2,
        eps=plan.adam_eps,
    )
    done = load_training(work, learner, optimiser) or 0
    on_start(done, len(batches))
    for step in range(done, len(batches)):
        rate = plan.learning_rate * multiplier(
            plan.curve, step / len(batches), warmup_share=plan.warmup_share
        )
        metrics = _accumulate(model, task, batches[step], step, cost)
        norm = update(
            optimiser,
            learning_rate=rate,
            clip_norm=plan.clip_norm,
            where=f"round {task.round_number}, step {step}",
        )
        on_step(step, {**metrics, "train/grad_norm": norm, "train/learning_rate": rate})
        if (step + 1) % plan.checkpoint_every == 0 and step + 1 < len(batches):
            save_training(work, learner, optimiser, step + 1)
    return cost


def batch_order(count: int, plan: Optimisation, seed: int, round_number: int) -> list[list[int]]:
    """Places of the examples of every step; each epoch is a seeded order of all of them.

    The last batch of an epoch may be smaller: nothing is dropped.
    """
    batches: list[list[int]] = []
    for epoch in range(plan.epochs):
        generator = torch.Generator().manual_seed(derive(seed, "order", round_number, epoch) >> 1)
        order = torch.randperm(count, generator=generator).tolist()
        batches += [order[at : at + plan.batch_size] for at in range(0, count, plan.batch_size)]
    return batches


def _accumulate(
    model: Model, task: Task[Model], places: Sequence[int], step: int, cost: Cost
) -> dict[str, float]:
    """Gradient of the batch's mean loss, micro-batch by micro-batch; the batch's numbers."""
    size = task.plan.micro_batch_size
    means = Means()
    for at in range(0, len(places), size):
        micro = places[at : at + size]
        out = task.losses(model, micro, cost, step)
        check_finite(out.loss_N, task, micro, step)
        (out.loss_N.sum() / len(places)).backward()
        means.add(out.numbers)
        count_backward(model, task, micro, cost)
    return means.named("train")


@torch.inference_mode()
def numbers_after(model: Model, task: Task[Model], cost: Cost) -> dict[str, float]:
    """Where training has moved its own examples: their numbers after the last step, as `after/`."""
    means = Means()
    for places in _runs(task):
        means.add(task.losses(model, places, cost).numbers)
    return means.named("after")


def _runs(task: Task[Model]) -> list[list[int]]:
    """Places by longest sequence, cut where a forward pass would hold TOKENS_AT_ONCE."""
    runs: list[list[int]] = []
    sequences = 0
    for place in sorted(range(len(task)), key=lambda each: max(task.lengths(each))):
        lengths = task.lengths(place)
        fits = (sequences + len(lengths)) * max(lengths) <= TOKENS_AT_ONCE
        if runs and (fits or len(runs[-1]) < task.plan.micro_batch_size):
            runs[-1].append(place)
            sequences += len(lengths)
        else:
            runs.append([place])
            sequences = len(lengths)
    return runs


def check_finite(loss_N: Tensor, task: Task[Model], places: Sequence[int], step: int) -> None:
    """Refuse a loss that is no number, naming the prompts."""
    if bool(loss_N.isfinite().all()):
        return
    bad = [p for p, good in zip(places, loss_N.isfinite().tolist(), strict=True) if not good]
    prompts = [task.prompt_id(place) for place in bad]
    raise NonFinite(
        f"round {task.round_number}, step {step}: the loss is not finite for {len(bad)} of "
        f"{len(places)} {task.unit}, prompts {', '.join(prompts[:5])}; lower "
        "schedule.learning_rate or loss.beta. No weight was changed by this step"
    )


def count_backward(model: Model, task: Task[Model], places: Sequence[int], cost: Cost) -> None:
    """What gradients of these examples cost, once."""
    products = backward_products(model.network)
    for place in places:
        for tokens in task.lengths(place):
            cost.trained_tokens += tokens
            cost.backward_flops += products * forward_flops(model.network, tokens, tokens / 2)
