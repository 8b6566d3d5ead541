"""How sure a difference is: seeds and held-out prompts are both samples, and they are crossed.

Legend: S seeds, I items (held-out prompts).

Every seed of a cell answers the same prompts, so a table of values_SI has three sources of luck:

    value = mean + seed + item + rest

and the mean over the table varies by  seed^2 / S + item^2 / I + rest^2 / (S I).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, nctdtr, stdtr, stdtrit

from align_cli.errors import AlignError

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean or a difference of means, with what its uncertainty rests on."""

    value: float
    standard_error: float
    freedom: float
    """Degrees of freedom of the t distribution that the interval is taken from."""
    level: float
    """Coverage of the interval, 0.95 as a rule."""
    low: float
    high: float
    p: float | None
    """Two-sided, of "the true value is 0"; None where nothing varies and yet it is not 0."""
    items: int
    seeds: int
    """Of the group with fewest seeds; with 1 the interval is over items only."""
    seed_deviation: float | None
    """Standard deviation between seeds beyond what items and rest explain; None with one seed."""
    tests: tuple[tuple[float, float], ...]
    """(standard error, degrees of freedom) of every test that p is the largest of."""


def estimate(values_SI: Array, *, level: float) -> Estimate:
    """The mean of a crossed table, with the wider of two intervals.

        over both    variance = MS_item / (S I) + max(0, MS_seed - MS_rest) / (S I), mean squares
                     of the two-way table, degrees of freedom after Satterthwaite (1946)
        over seeds   the t interval of the S seed means

    The first alone finds too much where few seeds differ a lot (in simulated null studies 8 % of
    the time with 3 seeds and 12 % with 2, at alpha 5 %); the second alone knows nothing of the
    luck of the prompts. With one seed it is the t interval over items, with one item that over
    seeds. p is the larger of two.
    For a paired comparison give the differences of two tables.
    """
    return _combined(values_SI.mean(axis=0), [values_SI], level=level)


def difference_of_independent(a_SI: Array, b_SI: Array, *, level: float) -> Estimate:
    """mean(a) - mean(b) where items are the same and seeds have nothing in common."""
    means_I = a_SI.mean(axis=0) - b_SI.mean(axis=0)
    return _combined(means_I, [a_SI, b_SI], level=level)


def _combined(means_I: Array, groups: Sequence[Array], *, level: float) -> Estimate:
    items, seeds = len(means_I), min(len(group) for group in groups)
    if items < 2:
        return _of_one_item(float(means_I.mean()), groups, level=level)
    of_items = float(means_I.var(ddof=1)) / items
    variance, terms, between = of_items, of_items**2 / (items - 1), 0.0
    for group in (group for group in groups if len(group) > 1):
        n = len(group)
        of_seed, rest = (square / (n * items) for square in _mean_squares(group))
        spread = max(0.0, of_seed - rest)
        between += n * spread
        if spread > 0:
            variance += spread
            terms += of_seed**2 / (n - 1) + rest**2 / ((n - 1) * (items - 1))
    freedom = items - 1.0
    if terms > 0:
        # The subtraction may leave less freedom than the seeds alone have, which is not so.
        freedom = min(max(variance**2 / terms, max(1.0, seeds - 1.0)), freedom)
    value, error = float(means_I.mean()), sqrt(variance)
    tests = ((error, freedom), *([_over_seeds(groups)] if seeds > 1 else []))
    p_values = [p_value(value, *test) for test in tests]
    # Seeds whose means agree by chance have no spread of their own; items still have.
    known = [p for p in p_values if p is not None]
    halves = [(float(stdtrit(f, 0.5 + level / 2)) * e, e, f) for e, f in tests]
    half, error, freedom = max(halves, key=lambda each: each[0])
    return Estimate(
        value=value,
        standard_error=error,
        freedom=freedom,
        level=level,
        low=value - half,
        high=value + half,
        p=max(known) if p_values[0] is not None else None,
        items=items,
        seeds=seeds,
        seed_deviation=sqrt(between) if seeds > 1 else None,
        tests=tests,
    )


def _of_one_item(value: float, groups: Sequence[Array], *, level: float) -> Estimate:
    """The t interval over seeds: one item is no sample of items, so it must be all there are."""
    seeds = min(len(group) for group in groups)
    if seeds < 2:
        raise AlignError(
            f"1 held-out prompt and {seeds} seed to compare on; an interval needs 2 or more of one"
        )
    error, freedom = _over_seeds(groups)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return Estimate(value=value, standard_error=error, freedom=freedom, level=level,
                    low=value - half, high=value + half, p=p_value(value, error, freedom),
                    items=1, seeds=seeds, seed_deviation=error * sqrt(seeds),
                    tests=((error, freedom),))  # fmt: skip


def _over_seeds(groups: Sequence[Array]) -> tuple[float, float]:
    """Standard error and degrees of freedom from seed means alone; of two groups, Welch's."""
    parts = [(float(g.mean(axis=1).var(ddof=1)) / len(g), len(g) - 1.0) for g in groups]
    variance = sum(part for part, _ in parts)
    terms = sum(part**2 / freedom for part, freedom in parts)
    freedom = variance**2 / terms if terms > 0 else min(f for _, f in parts)
    return sqrt(variance), freedom


def _mean_squares(values_SI: Array) -> tuple[float, float]:
    """(between seeds, of the rest), as in a two-way analysis of variance without replication."""
    seeds, items = values_SI.shape
    mean = values_SI.mean()
    seed_S = values_SI.mean(axis=1) - mean
    item_I = values_SI.mean(axis=0) - mean
    rest_SI = values_SI - mean - seed_S[:, None] - item_I[None, :]
    of_seed = items * float(seed_S @ seed_S) / (seeds - 1)
    return of_seed, float((rest_SI**2).sum()) / ((seeds - 1) * (items - 1))


def estimate_over_seeds(values_S: Array, *, level: float) -> Estimate:
    """The t interval over seeds alone, for one value a seed; of one seed there is none."""
    seeds = len(values_S)
    value = float(values_S.mean())
    if seeds == 1:
        return Estimate(value=value, standard_error=inf, freedom=0.0, level=level, low=-inf,
                        high=inf, p=None, items=0, seeds=1, seed_deviation=None,
                        tests=())  # fmt: skip
    deviation = float(values_S.std(ddof=1))
    error = deviation / sqrt(seeds)
    half = float(stdtrit(seeds - 1, 0.5 + level / 2)) * error
    return Estimate(value=value, standard_error=error, freedom=seeds - 1.0, level=level,
                    low=value - half, high=value + half, p=p_value(value, error, seeds - 1.0),
                    items=0, seeds=seeds, seed_deviation=deviation,
                    tests=((error, seeds - 1.0),))  # fmt: skip


def p_value(value: float, error: float, freedom: float) -> float | None:
    """Two-sided p of a t statistic."""
    # Rounding leaves a little spread in a table of equal differences.
    if error <= 1e-12:
        return 1.0 if abs(value) <= 1e-12 else None
    return float(2 * stdtr(freedom, -abs(value) / error))


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact p of "a and b are right equally often", from the items that one alone gets right.

        p = min(1, 2 P(X <= min(only_a, only_b))),   X ~ Binomial(only_a + only_b, 1/2)

    Source: McNemar 1947; the exact binomial form. It knows nothing of seeds: one run each.
    """
    discordant = only_a + only_b
    if discordant == 0:
        return 1.0
    return min(1.0, float(2 * bdtr(min(only_a, only_b), discordant, 0.5)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for being several (Holm 1979): any false finding at all stays below alpha.

    The smallest is multiplied by m, the next by m - 1, ..., and none may fall below one before it.
    What could not be tested (None) counts in m and stays None.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        corrected[place] = highest
    return corrected


def minimum_detectable_effect(
    error: float, freedom: float, *, alpha: float, power: float
) -> float | None:
    """The smallest true effect that a test of this standard error finds with probability `power`.

        P(|T| > t_crit(alpha)) = power,   T noncentral t with `freedom` and effect / error

    None where there is no standard error to go by.
    """
    if not isfinite(error) or error <= 1e-12:
        return None
    critical = float(stdtrit(freedom, 1 - alpha / 2))

    def found(noncentrality: float) -> float:
        """Chance of a finding of the right sign; one of the wrong sign is no finding."""
        return 1 - float(nctdtr(freedom, noncentrality, critical))

    low, high = 0.0, 1.0
    while found(high) < power:
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) < power else (low, middle)
    return high * error
