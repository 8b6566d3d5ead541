"""One round of preference optimisation: pairs in, better weights and a trail of numbers out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.errors import NonFinite
from align_cli.model.flops import forward_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import token_logps
from align_cli.rows import PairReference
from align_cli.schedule.plan import Plan
from align_cli.seeds import derive
from align_cli.store.cost import Cost
from align_cli.train.checkpoint import load_training, save_training
from align_cli.train.curve import multiplier
from align_cli.train.optimiser import adamw, update

Loss = Callable[..., PairLoss]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One pair as tokens."""

    prompt_id: str
    round: int
    chosen: int
    rejected: int
    margin: float
    chosen_score: float
    rejected_score: float
    prompt_ids: tuple[int, ...]
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """Everything one round of training is a function of."""

    examples: Sequence[Example]
    references: Sequence[PairReference] | None
    """Aligned with the examples; None when the loss asks for no reference."""
    loss: Loss
    plan: Plan
    seed: int
    round_number: int


def train_pairs(
    model: LanguageModel,
    task: Task,
    *,
    work: Path,
    on_start: Callable[[int, int], None],
    on_step: Callable[[int, Mapping[str, float]], None],
) -> Cost:
    """Take every step of the plan, going on from the last checkpoint in `work`.

    `on_start(done, total)` tells where it begins, `on_step(step, metrics)` what each step gave.
    """
    plan, cost = task.plan, Cost()
    batches = batch_order(len(task.examples), plan, task.seed, task.round_number)
    optimiser = adamw(
        model.network,
        weight_decay=plan.weight_decay,
        beta1=plan.adam_beta1,
        beta2=plan.adam_beta2,
        eps=plan.adam_eps,
    )
    done = load_training(work, model.network, optimiser) or 0
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
            save_training(work, model.network, optimiser, step + 1)
    return cost


def batch_order(count: int, plan: Plan, seed: int, round_number: int) -> list[list[int]]:
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
    model: LanguageModel, task: Task, places: Sequence[int], step: int, cost: Cost
) -> dict[str, float]:
    """Gradient of the batch's mean loss, micro-batch by micro-batch; the batch's numbers."""
    size = task.plan.micro_batch_size
    totals: dict[str, float] = {}
    for at in range(0, len(places), size):
        micro = places[at : at + size]
        pairs, references, labels = pair_tensors(model, task, micro, cost)
        out = task.loss(pairs=pairs, ref_pairs=references, pair_labels=labels)
        _check_finite(out.loss_B, task, micro, step)
        (out.loss_B.sum() / len(places)).backward()
        for name, value in pair_metrics(out, pairs, references).items():
            totals[name] = totals.get(name, 0.0) + value * len(micro) / len(places)
        _count_backward(model, task, micro, cost)
    return totals


def pair_tensors(
    model: LanguageModel, task: Task, places: Sequence[int], cost: Cost
) -> tuple[PairLogps, PairLogps | None, PairLabels]:
    """Log-probs of both sides in one forward pass, and what is known of each pair."""
    chosen = [task.examples[place] for place in places]
    prompts = [example.prompt_ids for example in chosen] * 2
    completions = [e.chosen_ids for e in chosen] + [e.rejected_ids for e in chosen]
    logps_BT, mask_BT = token_logps(model.network, prompts, completions)
    sums_B, lengths_B = logps_BT.sum(-1), mask_BT.sum(-1)
    cost.forward_flops += sum(
        forward_flops(model.network, len(p) + len(c), (len(p) + len(c)) / 2)
        for p, c in zip(prompts, completions, strict=True)
    )
    half = len(places)
    pairs = PairLogps(sums_B[:half], sums_B[half:], lengths_B[:half], lengths_B[half:])
    device = model.device
    labels = PairLabels(
        torch.tensor([e.margin for e in chosen], device=device),
        torch.tensor([e.chosen_score for e in chosen], device=device),
        torch.tensor([e.rejected_score for e in chosen], device=device),
    )
    if task.references is None:
        return pairs, None, labels
    rows = [task.references[place] for place in places]
    references = PairLogps(
        torch.tensor([row.chosen_logp for row in rows], device=device),
        torch.tensor([row.rejected_logp for row in rows], device=device),
        pairs.chosen_len_B,
        pairs.rejected_len_B,
    )
    return pairs, references, labels


def pair_metrics(out: PairLoss, pairs: PairLogps, references: PairLogps | None) -> dict[str, float]:
    """Means over a batch; log-ratios are policy minus reference [nats]."""
    gap_B = out.chosen_reward_B - out.rejected_reward_B
    metrics = {
        "train/loss": _mean(out.loss_B),
        "train/reward_margin": _mean(gap_B),
        # A tie of implicit rewards is half right.
        "train/accuracy": _mean((gap_B > 0).float() + 0.5 * (gap_B == 0).float()),
        "train/chosen_logp_nats": _mean(pairs.chosen_B),
        "train/rejected_logp_nats": _mean(pairs.rejected_B),
    }
    if references is not None:
        metrics["train/chosen_logratio_nats"] = _mean(pairs.chosen_B - references.chosen_B)
        metrics["train/rejected_logratio_nats"] = _mean(pairs.rejected_B - references.rejected_B)
    return metrics


def _mean(values_B: Tensor) -> float:
    return float(values_B.detach().double().mean())


def _check_finite(loss_B: Tensor, task: Task, places: Sequence[int], step: int) -> None:
    if bool(loss_B.isfinite().all()):
        return
    bad = [p for p, good in zip(places, loss_B.isfinite().tolist(), strict=True) if not good]
    prompts = [task.examples[place].prompt_id for place in bad]
    raise NonFinite(
        f"round {task.round_number}, step {step}: the loss is not finite for {len(bad)} of "
        f"{len(places)} pairs, prompts {', '.join(prompts[:5])}; lower schedule.learning_rate or "
        "loss.beta. No weight was changed by this step"
    )


def _count_backward(model: LanguageModel, task: Task, places: Sequence[int], cost: Cost) -> None:
    for place in places:
        example = task.examples[place]
        for side in (example.chosen_ids, example.rejected_ids):
            tokens = len(example.prompt_ids) + len(side)
            cost.trained_tokens += tokens
            # Gradients by weights and by activations: two products for each one forward.
            cost.backward_flops += 2 * forward_flops(model.network, tokens, tokens / 2)
