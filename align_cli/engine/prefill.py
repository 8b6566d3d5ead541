"""Prompts are read once each: their keys and values, and the logits of the first answer token.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from align_cli.engine.attended import is_plain, reading_cache
from align_cli.engine.cache import CacheKind, GatheredMemory, Memory, SlotMemory
from align_cli.engine.shared_prompt import SharedMemory
from align_cli.engine.waves import Request

Runs = list[tuple[tuple[int, ...], int]]
"""Distinct prompts with how many rows continue each, in the wave's order."""

PREFILL_TOKENS = 16_384
"""Most prompt tokens read in one forward pass, where the cache lets a wave be read in parts."""


def prefill(
    network: PreTrainedModel, wave: Sequence[Request], kind: CacheKind
) -> tuple[Memory, Tensor]:
    """The past of each row, and the logits [B, V] that its first token is drawn from.

    Prompts of one length are read together, so nothing is padded and nothing masked; a prompt that
    several rows continue is read once, and its past shared or copied.
    """
    runs = [(prompt, len(list(rows))) for prompt, rows in groupby(wave, lambda r: r.prompt)]
    worth_sharing = kind.plain and _worth_sharing(network, runs)
    memory: Memory | None = None
    logits, first = [], 0
    for siblings in _batches(runs, PREFILL_TOKENS if kind.plain else None):
        prompts = torch.tensor([prompt for prompt, _ in siblings], device=network.device)
        copies = torch.tensor([count for _, count in siblings], device=network.device)
        source = torch.arange(len(siblings), device=network.device).repeat_interleave(copies)
        config = network.config
        read = reading_cache(config) if worth_sharing else DynamicCache(config=config)
        out = network(input_ids=prompts, past_key_values=read, use_cache=True, logits_to_keep=1)
        memory = memory or _memory(wave, runs, kind, shared=worth_sharing and is_plain(read))
        memory.store(read, source, first)
        logits.append(out.logits[:, -1].index_select(0, source))
        first += len(source)
    assert memory is not None, "a wave has rows"
    return memory, torch.cat(logits)


def _worth_sharing(network: PreTrainedModel, runs: Runs) -> bool:
    """Where it is measured to be faster: on a CPU, in full precision, two rows a prompt or more."""
    rows = sum(copies for _, copies in runs)
    full = network.dtype in (torch.float32, torch.float64)
    return network.device.type == "cpu" and full and rows >= 2 * len(runs)


def _memory(wave: Sequence[Request], runs: Runs, kind: CacheKind, *, shared: bool) -> Memory:
    limit = max(request.limit for request in wave)
    if shared:
        lengths, copies = [len(prompt) for prompt, _ in runs], [count for _, count in runs]
        return SharedMemory(lengths, copies, limit)
    return SlotMemory(len(wave), len(wave[-1].prompt), limit) if kind.plain else GatheredMemory()


def _batches(runs: Runs, tokens: int | None) -> Iterator[Runs]:
    """Prompts of one length, in order."""
    for length, same in groupby(runs, lambda run: len(run[0])):
        batch = list(same)
        size = len(batch) if tokens is None else max(1, tokens // length)
        for start in range(0, len(batch), size):
            yield batch[start : start + size]
