"""Tokens -> log-probabilities of completions: the one place that shifts by one.

Shapes: B sequences, T tokens (right-padded). Right padding needs no attention mask: a causal model
never looks ahead, and padded positions are masked out of every sum.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel


def pad_right(sequences: Sequence[Sequence[int]], *, device: torch.device) -> Tensor:
    """A [B, T] int64 tensor; padding is token 0, which no mask ever lets through."""
    width = max(len(sequence) for sequence in sequences)
    ids_BT = torch.zeros(len(sequences), width, dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        ids_BT[row, : len(sequence)] = torch.tensor(sequence, dtype=torch.int64)
    return ids_BT.to(device)


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
    joined = [[*p, *c] for p, c in zip(prompts, completions, strict=True)]
    ids_BT = pad_right(joined, device=network.device)
    mask_BT = completion_mask(prompts, completions, device=network.device)
    # No completion starts before the shortest prompt ends: its logits are never asked for.
    first = min(len(prompt) for prompt in prompts)
    keep = ids_BT.shape[1] - first + 1
    logits_BTV = network(input_ids=ids_BT, use_cache=False, logits_to_keep=keep).logits[:, :-1]
    targets_BT = ids_BT[:, first:]
    # gather - logsumexp never builds the [B, T, V] log-softmax, the largest tensor of all.
    logits_BTV = logits_BTV.float()
    picked_BT = logits_BTV.gather(-1, targets_BT[..., None]).squeeze(-1)
    tail_BT = picked_BT - logits_BTV.logsumexp(-1)
    logps_BT = torch.zeros(ids_BT.shape, dtype=tail_BT.dtype, device=tail_BT.device)
    logps_BT = torch.cat([logps_BT[:, :first], tail_BT], dim=1)
    return logps_BT.masked_fill(~mask_BT, 0.0), mask_BT


def sequence_logps(
    network: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
) -> Tensor:
    """[B] sum of each completion's token log-probs [nats]."""
    logps_BT, _ = token_logps(network, prompts, completions)
    return logps_BT.sum(-1)
