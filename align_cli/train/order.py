"""Which examples make up which batch: decided by seed and step, so any step can be resumed."""

import random
from collections.abc import Iterator, Sequence
from itertools import chain

from align_cli.seeds import derive

BUCKET = 16
"""Batches that are sorted by length together, at most; never more than an epoch has."""


def batches(
    lengths: Sequence[int], *, batch: int, seed: int, start: int = 0
) -> Iterator[list[int]]:
    """Endless batches of example numbers, from step `start` on, of similar length within a batch.

    Epoch after epoch is shuffled and laid end to end; the stream is cut into runs of 16 batches,
    and each run is sorted by length, cut into batches, and those are shuffled. So every example
    comes once an epoch, and padding is short. Batch k is the same wherever the iteration starts.
    """
    bucket = max(1, min(BUCKET, len(lengths) // batch))
    span = bucket * batch
    window, skip = divmod(start, bucket)
    while True:
        taken = _stream(len(lengths), seed, window * span, (window + 1) * span)
        taken.sort(key=lambda example: lengths[example])
        cut = [taken[at : at + batch] for at in range(0, span, batch)]
        random.Random(derive(seed, "batches", window)).shuffle(cut)
        yield from cut[skip:]
        window, skip = window + 1, 0


def _stream(count: int, seed: int, start: int, end: int) -> list[int]:
    """Positions start..end of the shuffled epochs laid end to end."""
    first, last = start // count, (end - 1) // count
    laid = list(chain.from_iterable(_epoch(count, seed, n) for n in range(first, last + 1)))
    return laid[start - first * count : end - first * count]


def _epoch(count: int, seed: int, number: int) -> list[int]:
    examples = list(range(count))
    random.Random(derive(seed, "epoch", number)).shuffle(examples)
    return examples
