"""Cost at equal accuracy: what a cell spends to get as good as its baseline, as a ratio."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Literal

import numpy as np

from align_cli.study.cells import Cell
from align_cli.study.curves import Curve, curve_of
from align_cli.study.metrics import Metric
from align_cli.study.statistics import estimate_over_seeds, holm
from align_cli.study.verdict import Rule, aligned

RatioVerdict = Literal["cheaper", "dearer", "inconclusive"]


@dataclass(frozen=True)
class AtEqual:
    """One seed: where both curves first reach the target."""

    seed: int
    target: float
    cell_cost: float
    baseline_cost: float

    @property
    def ratio(self) -> float:
        """Below 1 the cell is cheaper."""
        return self.cell_cost / self.baseline_cost


@dataclass(frozen=True, kw_only=True)
class CostRatio:
    """cost of the cell / cost of its baseline, at equal accuracy; None is unknown."""

    cell: str
    baseline: str
    metric: str
    axis: str
    ratio: float | None
    """Geometric mean over seeds."""
    low: float | None
    high: float | None
    p: float | None
    """Two-sided, of "the ratio is 1"."""
    at: tuple[AtEqual, ...]
    seeds: tuple[int, ...]
    """All that were looked at; those that are not in `at` gave no ratio."""
    reached: int
    """Seeds in which the cell gets as good as the baseline's best."""
    reason: str | None = None
    """Why there is no ratio, or no interval."""
    p_corrected: float | None = None
    comparisons: int = 1
    verdict: RatioVerdict = "inconclusive"


def cost_ratio(
    cell: Cell,
    baseline: Cell,
    metric: Metric,
    items: Sequence[str],
    rule: Rule,
    axis: str,
    target: float | None = None,
) -> CostRatio:
    """The ratio of costs at the highest accuracy that both reach, seed by seed.

        ratio = exp(mean over seeds of log(cost_cell / cost_baseline))

    with the t interval over seeds of the logarithm. Each cost is where the curve, straight between
    rounds, first reaches min(best of the cell, best of the baseline), or `target` where one is
    given; seeds in which either never gets there, or is there before any cost, give no ratio.
    """
    cell, baseline, _ = aligned(cell, baseline)
    found = CostRatio(
        cell=cell.name, baseline=baseline.name, metric=metric.name, axis=axis, ratio=None,
        low=None, high=None, p=None, at=(), seeds=cell.seeds, reached=0,
    )  # fmt: skip
    if cell.seeds != baseline.seeds:
        return replace(found, reason="the two have no seed in common")
    at, reached = [], 0
    for seed, mine, theirs in zip(cell.seeds, cell.runs, baseline.runs, strict=True):
        curves = [curve_of(run, metric, items, axis) for run in (mine, theirs)]
        best, its_best = (float(curve.mean_by_policy.max()) for curve in curves)
        reached += best >= its_best
        each = _at_equal(seed, curves, min(best, its_best) if target is None else target)
        at += [each] if each is not None else []
    found = replace(found, at=tuple(at), reached=reached)
    if not at:
        return replace(found, reason="in no seed do both improve to the same accuracy")
    logs = estimate_over_seeds(np.log([each.ratio for each in at]), level=rule.level)
    if len(at) == 1:
        return replace(found, ratio=exp(logs.value), reason="one seed: how it varies is unknown")
    return replace(found, ratio=exp(logs.value), low=_exp(logs.low), high=_exp(logs.high), p=logs.p)


def _at_equal(seed: int, curves: Sequence[Curve], target: float) -> AtEqual | None:
    mine, theirs = (curve.cost_of(target) for curve in curves)
    if not mine or not theirs:
        return None
    return AtEqual(seed, target, mine, theirs)


def _exp(value: float) -> float:
    """Two seeds may leave a ratio open by hundreds of orders of magnitude."""
    return exp(min(value, log(1e300)))


def judged_ratios(ratios: Sequence[CostRatio], rule: Rule) -> list[CostRatio]:
    """Ratios with p corrected over them (Holm), and verdicts."""
    corrected = holm([each.p for each in ratios])
    done = []
    for each, p in zip(ratios, corrected, strict=True):
        verdict: RatioVerdict = "inconclusive"
        if p is not None and p < rule.alpha and each.ratio is not None:
            verdict = "cheaper" if each.ratio < 1 else "dearer"
        done.append(replace(each, p_corrected=p, comparisons=len(ratios), verdict=verdict))
    return done
