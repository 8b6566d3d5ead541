"""Prompts are read once each: their keys and values, and the logits of the first answer token.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from align_cli.engine.cache import CacheKind, GatheredMemory, Memory, SlotMemory
from align_cli.engine.waves import Request

PREFILL_TOKENS = 16_384
"""Most prompt tokens read in one forward pass, where the cache lets a wave be read in parts."""


def prefill(
    network: PreTrainedModel, wave: Sequence[Request], kind: CacheKind
) -> tuple[Memory, Tensor]:
    """The past of each row, and the logits [B, V] that its first token is drawn from.

    Prompts of one length are read together, so nothing is padded and nothing masked; a prompt that
    several rows continue is read once and its past copied.
    """
    longest, limit = len(wave[-1].prompt), max(request.limit for request in wave)
    memory: Memory
    memory = SlotMemory(len(wave), longest, limit) if kind.plain else GatheredMemory()
    logits, first = [], 0
    for siblings in _batches(wave, PREFILL_TOKENS if kind.plain else None):
        prompts = torch.tensor([prompt for prompt, _ in siblings], device=network.device)
        copies = torch.tensor([count for _, count in siblings], device=network.device)
        source = torch.arange(len(siblings), device=network.device).repeat_interleave(copies)
        read = DynamicCache(config=network.config)
        out = network(input_ids=prompts, past_key_values=read, use_cache=True, logits_to_keep=1)
        memory.store(read, source, first)
        logits.append(out.logits[:, -1].index_select(0, source))
        first += len(source)
    return memory, torch.cat(logits)


def _batches(
    wave: Sequence[Request], tokens: int | None
) -> Iterator[list[tuple[tuple[int, ...], int]]]:
    """Distinct prompts of one length with how many rows continue each, in the wave's order."""
    runs = [(prompt, len(list(rows))) for prompt, rows in groupby(wave, lambda r: r.prompt)]
    for length, same in groupby(runs, lambda run: len(run[0])):
        batch = list(same)
        size = len(batch) if tokens is None else max(1, tokens // length)
        for start in range(0, len(batch), size):
            yield batch[start : start + size]
