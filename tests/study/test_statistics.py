"""Intervals and p-values against SciPy, against long hand, and against repeated studies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_runs import skilled
from scipy import stats

from align_cli.errors import AlignError
from align_cli.study.resampling import bootstrap_interval
from align_cli.study.statistics import (
    difference_of_independent,
    estimate,
    estimate_over_seeds,
    holm,
    mcnemar,
    minimum_detectable_effect,
)
from align_cli.study.verdict import Rule, verdict


def table(seed=0, seeds=3, items=50, between=0.1):
    stream = np.random.default_rng(seed)
    rest = stream.normal(0.1, 0.4, (seeds, items))
    return rest + stream.normal(0, 0.3, items) + stream.normal(0, between, (seeds, 1))


def test_one_seed_is_scipys_t_test_over_items():
    values = table(seeds=1)
    found, wanted = estimate(values, level=0.95), stats.ttest_1samp(values[0], 0)
    low, high = wanted.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)
    assert found.seed_deviation is None


def test_one_item_leaves_the_seeds():
    values = table(seeds=6, items=1)
    found, wanted = estimate(values, level=0.95), stats.ttest_1samp(values[:, 0], 0)
    low, high = wanted.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert (found.items, found.seeds) == (1, 6)
    with pytest.raises(AlignError, match="1 held-out prompt and 1 seed"):
        estimate(values[:1], level=0.95)


def test_seeds_alone_are_scipys_t_test_over_seeds():
    values = table()[:, 0]
    found, wanted = estimate_over_seeds(values, level=0.9), stats.ttest_1samp(values, 0)
    low, high = wanted.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)


def test_where_items_are_alike_only_seeds_count():
    values = np.repeat(table()[:, :1], 400, axis=1)
    values = values + np.random.default_rng(1).normal(0, 1e-6, values.shape)
    found, wanted = estimate(values, level=0.95), stats.ttest_1samp(values.mean(axis=1), 0)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-4)
    assert found.freedom == pytest.approx(2, rel=1e-4)


def test_variance_is_that_of_the_two_way_table_by_long_hand():
    values = table(seeds=8, between=0.05)
    seeds, items = values.shape
    grand = values.mean()
    of_seed = items * sum((row.mean() - grand) ** 2 for row in values) / (seeds - 1)
    of_item = seeds * sum((col.mean() - grand) ** 2 for col in values.T) / (items - 1)
    rest = sum(
        (values[s, i] - values[s].mean() - values[:, i].mean() + grand) ** 2
        for s in range(seeds)
        for i in range(items)
    ) / ((seeds - 1) * (items - 1))
    found = estimate(values, level=0.95)
    wanted = (of_item + of_seed - rest) / (seeds * items)
    assert found.standard_error**2 == pytest.approx(wanted, rel=1e-9)
    assert found.seed_deviation == pytest.approx(((of_seed - rest) / items) ** 0.5, rel=1e-9)


def test_independent_seeds_give_the_sum_of_both_spreads():
    a, b = table(1, between=0.07, seeds=5), table(2, seeds=6, between=0.07)
    both = difference_of_independent(a, b, level=0.95)
    items = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / a.shape[1]
    spread = sum(estimate(t, level=0.95).seed_deviation ** 2 / len(t) for t in (a, b))
    assert both.standard_error**2 == pytest.approx(items + spread, rel=1e-9)
    assert both.value == pytest.approx(a.mean() - b.mean())


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_scipys_binomial_test(only_a, only_b):
    wanted = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(wanted, rel=1e-9)


def test_holm_by_long_hand():
    # Holm 1979: 4 p-values, multiplied by 4, 3, 2, 1 in order, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_could_not_be_tested_still_counts_in_the_correction():
    assert holm([0.02, None]) == [pytest.approx(0.04), None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni(p_values):
    corrected = holm(p_values)
    for p, q in zip(p_values, corrected, strict=True):
        assert p <= q <= min(1, p * len(p_values)) + 1e-12


def test_bootstrap_over_items_is_scipys_within_its_own_luck():
    values = table(seeds=1, items=120)
    mine = bootstrap_interval(values, level=0.95, draws=20_000)
    theirs = stats.bootstrap(
        (values[0],), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert mine == pytest.approx((theirs.low, theirs.high), abs=0.004)


@pytest.mark.parametrize("paired", [True, False])
def test_bootstrap_over_seeds_and_items_is_the_loop_by_long_hand(paired):
    a, b = table(1, items=40), table(2, items=40, between=0.3)
    stream = np.random.default_rng(3)
    means = []
    for _ in range(6000):
        rows, columns = stream.integers(3, size=3), stream.integers(40, size=40)
        others = rows if paired else stream.integers(3, size=3)
        means.append(a[rows][:, columns].mean() - b[others][:, columns].mean())
    tables = (a - b,) if paired else (a, b)
    mine = bootstrap_interval(*tables, level=0.95, draws=6000)
    assert mine == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)


def test_nothing_varies():
    same = estimate(np.zeros((3, 5)), level=0.95)
    assert (same.p, same.low, same.high) == (1.0, 0.0, 0.0)
    shifted = estimate(np.full((3, 5), 0.25), level=0.95)
    assert shifted.p is None
    assert verdict(shifted.value, shifted.p, 0.05) == "inconclusive"
    assert minimum_detectable_effect(0.0, 2.0, alpha=0.05, power=0.8) is None


def test_seeds_that_agree_by_chance_leave_the_test_over_prompts():
    values = np.array([[1.0, 0.0, 1.0, 0.5, 0.0], [0.0, 1.0, 0.5, 1.0, 0.0]])
    found = estimate(values, level=0.95)
    assert found.p == pytest.approx(stats.ttest_1samp(values.mean(axis=0), 0).pvalue)


@given(st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5]), min_size=6, max_size=6),
                min_size=2, max_size=4))  # fmt: skip
def test_freedom_lies_between_that_of_seeds_and_that_of_prompts(rows):
    """A seed that undoes what another does leaves hardly any variance to take degrees from."""
    values = np.array(rows)
    both, *_ = estimate(values, level=0.95).tests
    assert len(rows) - 1 <= both[1] <= 5
    a, b = values[:1], values[1:]
    both, *_ = difference_of_independent(a, b, level=0.95).tests
    assert 1 <= both[1] <= 5


def test_no_interval_is_narrower_than_that_of_seeds_alone():
    for seed in range(20):
        values = table(seed, between=0.2)
        found, alone = estimate(values, level=0.95), stats.ttest_1samp(values.mean(axis=1), 0)
        low, high = alone.confidence_interval(0.95)
        assert found.high - found.low >= high - low - 1e-12
        assert found.p >= alone.pvalue - 1e-12
        other = table(seed + 50, seeds=4, between=0.2)
        both = difference_of_independent(values, other, level=0.95)
        welch = stats.ttest_ind(values.mean(axis=1), other.mean(axis=1), equal_var=False)
        low, high = welch.confidence_interval(0.95)
        assert both.high - both.low >= high - low - 1e-12
        assert both.p >= welch.pvalue - 1e-12


@pytest.mark.parametrize(("freedom", "power"), [(2.0, 0.8), (40.0, 0.9)])
def test_an_effect_of_the_mde_is_found_with_the_power_promised(freedom, power):
    effect = minimum_detectable_effect(0.7, freedom, alpha=0.05, power=power)
    stream = np.random.default_rng(0)
    error = 0.7 * np.sqrt(stream.chisquare(freedom, 100_000) / freedom)
    t = (effect + 0.7 * stream.normal(size=100_000)) / error
    assert np.mean(t > stats.t.ppf(0.975, freedom)) == pytest.approx(power, abs=0.006)


@pytest.mark.parametrize("paired", [True, False])
def test_a_null_study_is_inconclusive_in_93_of_100(paired):
    """The same cell at other seeds, differing between seeds as runs of the bundled world do."""
    rule, calls = Rule(), 0
    stream = np.random.default_rng(11)
    for _ in range(100):
        p_values = []
        base = np.array(skilled(stream, 3, 400, level=1.8, between=0.12)) / 4
        for _ in range(2):
            other = np.array(skilled(stream, 3, 400, level=1.8, between=0.12)) / 4
            found = (
                estimate(other - base, level=0.95)
                if paired
                else difference_of_independent(other, base, level=0.95)
            )
            p_values.append((found.value, found.p))
        corrected = holm([p for _, p in p_values])
        verdicts = {
            verdict(v, q, rule.alpha) for (v, _), q in zip(p_values, corrected, strict=True)
        }
        calls += verdicts == {"inconclusive"}
    assert calls >= 93


@pytest.mark.parametrize(
    ("seeds", "between", "least"),
    [(2, 0.0, 0.93), (2, 0.05, 0.93), (3, 0.0, 0.93), (3, 0.02, 0.93), (3, 0.05, 0.93),
     (5, 0.02, 0.93), (1, 0.0, 0.93)],
)  # fmt: skip
def test_intervals_cover_the_truth(seeds, between, least):
    stream = np.random.default_rng(2)
    covered, studies = 0, 600
    for _ in range(studies):
        values = (
            0.03
            + stream.normal(0, between, (seeds, 1))
            + stream.normal(0, 0.2, (1, 200))
            + stream.normal(0, 0.3, (seeds, 200))
        )
        found = estimate(values, level=0.95)
        covered += found.low <= 0.03 <= found.high
    assert least <= covered / studies
