"""Draws in blocks by index, so that a best-of-4 is found inside a best-of-16."""

from collections.abc import Iterator

FIRST = 2
"""Draws of a prompt in the first block; a pair needs two."""


def bounds(count: int) -> Iterator[tuple[int, int]]:
    """Where the indices 0 to count - 1 are cut: [0, 2) [2, 4) [4, 8) [8, 16) and so on.

    The same cuts for every count, the last one short: counts that are powers of two share every
    block of the smaller one.
    """
    start, end = 0, FIRST
    while start < count:
        yield start, min(end, count)
        start, end = end, 2 * end


def block_of(index: int) -> int:
    """The first index of the block that holds `index`."""
    return 0 if index < FIRST else 1 << (index.bit_length() - 1)
