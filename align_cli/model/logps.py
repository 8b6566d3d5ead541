"""Tokens -> log-probabilities of completions: the one place that shifts by one.

Shapes: B sequences, T tokens (right-padded). Right padding needs no attention mask: a causal model
never looks ahead, and padded positions are masked out of every sum.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from align_cli.model.heads import logits_at


@runtime_checkable
class Tabled(Protocol):
    """A network all of whose log-probs fit one table of (token before, token): bandits' policies.

    Thousands of sequences then cost one pass over the table, not a row of logits each.
    """

    def logps_after(self, before_N: Tensor, ids_N: Tensor) -> Tensor:
        """[N] log p(id | token before it) [nats]; differentiable."""


def pad_right(sequences: Sequence[Sequence[int]], *, device: torch.device) -> Tensor:
    """A [B, T] int64 tensor; padding is token 0, which no mask ever lets through."""
    width = max(len(sequence) for sequence in sequences)
    padded = [[*sequence, *repeat(0, width - len(sequence))] for sequence in sequences]
    return torch.tensor(padded, dtype=torch.int64, device=device)


def completion_mask(
    prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], *, device: torch.device
) -> Tensor:
    """[B, T] bool, True on completion tokens only; built from lengths, never from token ids."""
    starts_B = torch.tensor([len(p) for p in prompts])
    ends_B = starts_B + torch.tensor([len(c) for c in completions])
    position_T = torch.arange(int(ends_B.max()))
    mask_BT = (position_T >= starts_B[:, None]) & (position_T < ends_B[:, None])
    return mask_BT.to(device)


def token_logps(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
) -> tuple[Tensor, Tensor]:
    """log p(token t | tokens before t) of each completion token, and the mask that finds them.

        logps_BT[b, t] = log softmax(logits[b, t - 1])[ids[b, t]] where mask_BT[b, t], else 0 [nats]

    Log-softmax runs in float32 whatever the weights' type. Prompts hold at least one token.
    """
    logps_N, mask_BT = completion_logps(network, prompts, completions)
    return laid_out(logps_N, mask_BT), mask_BT


def completion_logps(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
) -> tuple[Tensor, Tensor]:
    """[N] log-probs of the N completion tokens, row by row [nats]; where they are."""
    ids_BT, asks_BT, mask_BT = completion_positions(prompts, completions, device=network.device)
    if isinstance(network, Tabled):
        return network.logps_after(ids_BT[asks_BT], ids_BT[mask_BT]), mask_BT
    return picked_logps(logits_at(network, ids_BT, asks_BT), ids_BT[mask_BT]), mask_BT


def completion_logits(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
) -> tuple[Tensor, Tensor, Tensor]:
    """[N, V] logits that predict the N completion tokens, row by row; their ids; where they are."""
    ids_BT, asks_BT, mask_BT = completion_positions(prompts, completions, device=network.device)
    return logits_at(network, ids_BT, asks_BT), ids_BT[mask_BT], mask_BT


def completion_positions(
    prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], *, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Padded ids, the places that predict a completion token, the places of these tokens."""
    joined = [[*p, *c] for p, c in zip(prompts, completions, strict=True)]
    ids_BT = pad_right(joined, device=device)
    mask_BT = completion_mask(prompts, completions, device=device)
    # The logits before a token predict it: position t - 1 is asked for token t.
    asks_BT = torch.zeros_like(mask_BT)
    asks_BT[:, :-1] = mask_BT[:, 1:]
    return ids_BT, asks_BT, mask_BT


def picked_logps(logits_NV: Tensor, ids_N: Tensor) -> Tensor:
    """[N] log softmax(logits)[id], in float32 or wider [nats]."""
    logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
    # gather - logsumexp never builds the [N, V] log-softmax, the largest tensor of all.
    picked_N = logits_NV.gather(-1, ids_N[:, None]).squeeze(-1)
    return picked_N - logits_NV.logsumexp(-1)


def laid_out(logps_N: Tensor, mask_BT: Tensor) -> Tensor:
    """[B, T] the log-probs where the mask is True, 0 elsewhere."""
    logps_BT = torch.zeros(mask_BT.shape, dtype=logps_N.dtype, device=logps_N.device)
    return logps_BT.masked_scatter(mask_BT, logps_N)


def sequence_logps(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
) -> Tensor:
    """[B] sum of each completion's token log-probs [nats]."""
    logps_BT, _ = token_logps(network, prompts, completions)
    return logps_BT.sum(-1)
