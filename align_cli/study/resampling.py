"""The bootstrap of a crossed table: draw seeds again, draw items again, the same for every seed."""

import numpy as np

from align_cli.study.statistics import Array

DRAWS = 2000
CHUNK = 200
"""Draws at a time, so that many items fit into memory."""


def bootstrap_interval(
    values_SI: Array, other_SI: Array | None = None, *, level: float, draws: int = DRAWS
) -> tuple[float, float]:
    """The percentile interval of a mean; with a second table, of the difference of two means.

        mean* = sum_s sum_i  w_s v_i value_si,   S w ~ Multinomial(S, 1/S), I v likewise

    Seeds are the clusters. Items are drawn once for all seeds of a draw, since all seeds answer
    the same prompts: the pigeonhole bootstrap, Owen 2007, arXiv:0712.1111. With one seed it is the
    bootstrap over items. With few seeds it is too narrow, as every percentile bootstrap is.

    A paired comparison is the table of differences, by itself. Two tables are groups of seeds that
    have nothing in common: seeds are drawn for each, items for both together.
    """
    stream = np.random.default_rng(0)
    items = values_SI.shape[1]
    made = []
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        item_RI = stream.multinomial(items, np.full(items, 1 / items), count) / items
        mean_R = _means(values_SI, item_RI, stream)
        made.append(mean_R if other_SI is None else mean_R - _means(other_SI, item_RI, stream))
    low, high = np.quantile(np.concatenate(made), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _means(values_SI: Array, item_RI: Array, stream: np.random.Generator) -> Array:
    seeds = len(values_SI)
    seed_RS = stream.multinomial(seeds, np.full(seeds, 1 / seeds), len(item_RI)) / seeds
    mean_R: Array = ((seed_RS @ values_SI) * item_RI).sum(axis=1)
    return mean_R
