"""Many sequences -> their log-probs under a fixed policy, in batches of similar length."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from align_cli.errors import NonFinite
from align_cli.model.flops import forward_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import token_logps
from align_cli.store.cost import Cost

BATCH_TOKENS = 16_384
"""Largest padded batch [tokens]; logits of one batch stay near this times the vocabulary."""


@torch.inference_mode()
def score_sequences(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    cost: Cost,
) -> list[float]:
    """log p(completion | prompt), summed over tokens, in the order given [nats]."""
    found = [0.0] * len(prompts)
    for batch, logps_BT, _ in _scored(model, prompts, completions, cost):
        for place, logp in zip(batch, logps_BT.sum(-1).tolist(), strict=True):
            found[place] = logp
    return found


@torch.inference_mode()
def score_tokens(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    cost: Cost,
) -> list[tuple[float, ...]]:
    """log p(token | prompt and the tokens before it) of every completion token [nats]."""
    found: list[tuple[float, ...]] = [()] * len(prompts)
    for batch, logps_BT, mask_BT in _scored(model, prompts, completions, cost):
        rows = logps_BT[mask_BT].split(mask_BT.sum(-1).tolist())
        for place, logps_T in zip(batch, rows, strict=True):
            found[place] = tuple(logps_T.tolist())
    return found


def _scored(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    cost: Cost,
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """(places, [B, T] log-probs of their completions' tokens, where those are), batch by batch."""
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    for batch in batches_by_length(lengths):
        logps_BT, mask_BT = token_logps(
            model.network, [prompts[place] for place in batch], [completions[p] for p in batch]
        )
        if not bool(logps_BT.isfinite().all()):
            raise NonFinite(
                f"a log-prob of {len(batch)} sequences is not finite; check the weights"
            )
        for place in batch:
            cost.scored_tokens += lengths[place]
            cost.forward_flops += forward_flops(model.network, lengths[place], lengths[place] / 2)
        yield batch, logps_BT, mask_BT


def batches_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """All places, shortest first, in runs whose padded size stays within BATCH_TOKENS."""
    batches: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        # The longest comes last, and pads the others.
        if batches and (len(batches[-1]) + 1) * lengths[place] <= BATCH_TOKENS:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
