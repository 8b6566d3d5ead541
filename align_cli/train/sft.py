"""Supervised warm start: imitate demonstrations until the policy speaks the task's language."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from align_cli.errors import ConfigError, NothingToTrain
from align_cli.model.flops import forward_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import token_logps
from align_cli.rows import Demonstration
from align_cli.store.cost import Cost
from align_cli.train.checkpoint import load_training, save_training
from align_cli.train.curve import multiplier
from align_cli.train.optimiser import adamw, update
from align_cli.train.order import batches

Encoded = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a prompt, and of the response that ends with the end-of-turn token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftPlan:
    """The optimisation of a warm start; `sft_plan` says what each choice means."""

    steps: int
    batch: int
    micro_batch: int
    learning_rate: float
    curve: Literal["constant", "linear", "cosine"]
    warmup_share: float
    weight_decay: float
    clip_norm: float | None
    adam_beta1: float
    adam_beta2: float
    adam_eps: float
    checkpoint_every: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SftStep:
    """What one optimiser step has to tell."""

    done: int
    """Steps done, this one included."""
    loss: float
    """Mean negative log-likelihood of the batch's response tokens [nats/token]."""
    grad_norm: float
    """Before clipping."""
    learning_rate: float
    tokens: int
    """Response tokens of the batch."""


def sft_plan(
    *,
    steps: Annotated[int, ">= 1", "optimiser steps"],
    batch: Annotated[int, ">= 1", "demonstrations"],
    micro_batch: Annotated[int, ">= 1", "demonstrations"],
    learning_rate: Annotated[float, "> 0"],
    curve: Literal["constant", "linear", "cosine"],
    warmup_share: Annotated[float, "[0, 1)", "share of the steps"],
    weight_decay: Annotated[float, ">= 0"],
    clip_norm: Annotated[float | None, "> 0"],
    adam_beta1: Annotated[float, "[0, 1)"],
    adam_beta2: Annotated[float, "[0, 1)"],
    adam_eps: Annotated[float, "> 0"],
    checkpoint_every: Annotated[int, ">= 1", "steps"],
) -> SftPlan:
    """Maximum likelihood of the responses, token by token, given their prompts.

        loss = - sum log p(token | tokens before it) / response tokens of the batch  [nats/token]

    The sum runs over the response's tokens and its end-of-turn; the prompt is not learnt.

    Settings:
        steps, batch: optimiser steps, and demonstrations per step.
        micro_batch: demonstrations per forward pass; memory, not mathematics; divides batch.
        learning_rate: the peak.
        curve, warmup_share: shape of the learning rate, see train/curve.py.
        clip_norm: largest gradient norm; null: not clipped.
        weight_decay, adam_beta1, adam_beta2, adam_eps: AdamW.
        checkpoint_every: a killed warm start repeats at most this many steps.
    """
    if batch % micro_batch:
        raise ConfigError(
            f"train.batch {batch} is not a multiple of train.micro_batch {micro_batch}: a batch is "
            "made of whole micro-batches; change either"
        )
    return SftPlan(
        steps=steps,
        batch=batch,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        curve=curve,
        warmup_share=warmup_share,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        adam_beta1=adam_beta1,
        adam_beta2=adam_beta2,
        adam_eps=adam_eps,
        checkpoint_every=checkpoint_every,
    )


def train_sft(
    model: LanguageModel,
    demonstrations: Sequence[Demonstration],
    plan: SftPlan,
    seed: int,
    *,
    work: Path,
    on_start: Callable[[int], None],
    on_step: Callable[[SftStep], None],
) -> Cost:
    """Train `model` in place; killed and called again it continues from `work`, bit for bit.

    `on_start(done)` tells how many steps a process before this one has taken, `on_step` what each
    step gave. The cost is that of the steps taken here.
    """
    examples = _encode(model, demonstrations)
    optimiser = adamw(
        model.network,
        weight_decay=plan.weight_decay,
        beta1=plan.adam_beta1,
        beta2=plan.adam_beta2,
        eps=plan.adam_eps,
    )
    start = load_training(work, model.network, optimiser) or 0
    on_start(start)
    cost = Cost()
    lengths = [len(prompt) + len(response) for prompt, response in examples]
    order = batches(lengths, batch=plan.batch, seed=seed, start=start)
    for done, numbers in enumerate(islice(order, plan.steps - start), start + 1):
        where = f"sft, step {done} of {plan.steps}"
        learning_rate = plan.learning_rate * multiplier(
            plan.curve, (done - 1) / plan.steps, warmup_share=plan.warmup_share
        )
        batch = [examples[number] for number in numbers]
        loss, tokens = _backward(model, batch, plan.micro_batch)
        grad_norm = update(
            optimiser, learning_rate=learning_rate, clip_norm=plan.clip_norm, where=where
        )
        _count(model, batch, cost)
        on_step(
            SftStep(
                done=done,
                loss=loss,
                grad_norm=grad_norm,
                learning_rate=learning_rate,
                tokens=tokens,
            )
        )
        # A step is told before it is kept: killed in between, it is taken and told again.
        if done % plan.checkpoint_every == 0 and done < plan.steps:
            save_training(work, model.network, optimiser, done)
    return cost


def _count(model: LanguageModel, batch: Sequence[Encoded], cost: Cost) -> None:
    for prompt, response in batch:
        tokens = len(prompt) + len(response)
        forward = forward_flops(model.network, tokens, tokens / 2)
        cost.trained_tokens += tokens
        cost.forward_flops += forward
        # Gradients by weights and by activations: two products for each one forward.
        cost.backward_flops += 2 * forward


def _backward(
    model: LanguageModel, examples: Sequence[Encoded], micro_batch: int
) -> tuple[float, int]:
    """Add the gradient of the batch's mean loss; that loss [nats/token], its tokens."""
    tokens = sum(len(response) for _, response in examples)
    loss = 0.0
    for at in range(0, len(examples), micro_batch):
        prompts, responses = zip(*examples[at : at + micro_batch], strict=True)
        logps_BT, _ = token_logps(model.network, prompts, responses)
        part = -logps_BT.sum() / tokens
        part.backward()
        loss += part.item()
    return loss, tokens


def _encode(model: LanguageModel, demonstrations: Sequence[Demonstration]) -> list[Encoded]:
    if not demonstrations:
        raise NothingToTrain("the demonstrations are empty; look at the group demonstration")
    # Many demonstrations answer the same prompt, and the chat template is slow.
    encode_prompt = cache(lambda messages: model.encode_prompt(messages))
    examples = [
        (encode_prompt(demonstration.messages), model.encode_response(demonstration.response))
        for demonstration in demonstrations
    ]
    lengths = [len(prompt) + len(response) for prompt, response in examples]
    if max(lengths) > model.window:
        longer = sum(length > model.window for length in lengths)
        raise ConfigError(
            f"{longer} of {len(lengths)} demonstrations are longer than the policy's window of "
            f"{model.window} tokens, the longest has {max(lengths)}; take a policy with a larger "
            "window, or shorter demonstrations"
        )
    return examples
