"""The bootstrap of a crossed table: draw seeds again, draw items again, the same for every seed."""

import numpy as np

from align_cli.study.statistics import Array

DRAWS = 2000
CHUNK = 200
"""Draws at a time, so that many items fit into memory."""


def bootstrap_means(values_SI: Array, *, draws: int, stream: np.random.Generator) -> Array:
    """Means of tables whose rows (seeds, the clusters) and columns (items) are drawn again.

        mean* = sum_s sum_i  w_s v_i value_si,   S w ~ Multinomial(S, 1/S), I v likewise

    Items are drawn once for all seeds of a draw, since all seeds answer the same prompts: the
    pigeonhole bootstrap, Owen 2007, arXiv:0712.1111. With one seed it is the bootstrap over items.
    """
    seeds, items = values_SI.shape
    made = []
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        seed_RS = stream.multinomial(seeds, np.full(seeds, 1 / seeds), count) / seeds
        item_RI = stream.multinomial(items, np.full(items, 1 / items), count) / items
        made.append(((seed_RS @ values_SI) * item_RI).sum(axis=1))
    return np.concatenate(made)


def bootstrap_interval(
    values_SI: Array, other_SI: Array | None = None, *, level: float, draws: int = DRAWS
) -> tuple[float, float]:
    """The percentile interval of a mean; with a second table, of the difference of two means.

    A paired comparison is the table of differences, by itself. Two tables are groups of seeds that
    have nothing in common: seeds are drawn for each, items for both together.
    """
    stream = np.random.default_rng(0)
    if other_SI is None:
        means = bootstrap_means(values_SI, draws=draws, stream=stream)
    else:
        means = _differences(values_SI, other_SI, draws, stream)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _differences(a_SI: Array, b_SI: Array, draws: int, stream: np.random.Generator) -> Array:
    items = a_SI.shape[1]
    made = np.empty(draws)
    for number in range(draws):
        columns = stream.integers(items, size=items)
        a_S = a_SI[stream.integers(len(a_SI), size=len(a_SI))][:, columns]
        b_S = b_SI[stream.integers(len(b_SI), size=len(b_SI))][:, columns]
        made[number] = a_S.mean() - b_S.mean()
    return made
