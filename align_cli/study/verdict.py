"""Claims: one cell held against its baseline, with the effect, how sure it is, and a verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from align_cli.study.cells import Cell
from align_cli.study.curves import curve_of, values_of
from align_cli.study.metrics import Metric
from align_cli.study.resampling import bootstrap_interval
from align_cli.study.statistics import (
    Array,
    Estimate,
    difference_of_independent,
    estimate,
    holm,
    mcnemar,
    minimum_detectable_effect,
)

Verdict = Literal["better", "worse", "inconclusive"]
Kind = Literal["final", "equal_cost"]
Values = Callable[[Cell], Array]
"""The values_SI of a cell's runs."""


@dataclass(frozen=True)
class Rule:
    """What it takes to call a difference one."""

    alpha: float = 0.05
    """Chance of any false finding among the comparisons of one kind."""
    power: float = 0.8
    """Of the minimum detectable effect."""

    @property
    def level(self) -> float:
        """Of intervals, each for itself."""
        return 1 - self.alpha


@dataclass(frozen=True)
class Discordant:
    """Greedy answers of one seed: items that one of the two cells alone gets right."""

    seed: int
    only_cell: int
    only_baseline: int
    p: float


@dataclass(frozen=True, kw_only=True)
class Claim:
    """cell - baseline in one metric."""

    kind: Kind
    cell: str
    baseline: str
    metric: str
    effect: Estimate
    bootstrap: tuple[float, float]
    """Percentile interval, for those who know it; with few seeds it is too narrow."""
    discordant: tuple[Discordant, ...]
    test: Literal["t", "mcnemar"]
    p: float | None
    seeds: tuple[int, ...]
    """Of the cell; the baseline's too where seeds are paired."""
    paired: bool
    """By seed. By prompt all comparisons are."""
    seeds_dropped: tuple[int, ...]
    """Only one of the two has them."""
    axis: str | None = None
    cost: float | None = None
    """Where both were read off their curves; None after the last round."""
    p_corrected: float | None = None
    comparisons: int = 1
    mde: float | None = None
    verdict: Verdict = "inconclusive"


def aligned(cell: Cell, baseline: Cell) -> tuple[Cell, Cell, tuple[int, ...]]:
    """Both at the seeds they have in common, and the seeds dropped; all where none is common."""
    common = [seed for seed in cell.seeds if seed in baseline.seeds]
    if not common:
        return cell, baseline, ()
    dropped = sorted({*cell.seeds, *baseline.seeds} - set(common))
    return cell.of_seeds(common), baseline.of_seeds(common), tuple(dropped)


def final_claim(
    cell: Cell, baseline: Cell, metric: Metric, items: Sequence[str], rule: Rule
) -> Claim:
    """The policies that runs end with."""
    cell, baseline, dropped = aligned(cell, baseline)
    claim = _claim(
        "final", cell, baseline, lambda c: values_of(c.runs, metric, items), metric, rule
    )
    claim = replace(claim, seeds_dropped=dropped)
    if not claim.paired:
        return claim
    discordant = tuple(_discordant(cell, baseline, items))
    claim = replace(claim, discordant=discordant)
    if metric.is_greedy and len(discordant) == 1:
        # One run each, right or wrong: here the exact test is at hand.
        claim = replace(claim, test="mcnemar", p=discordant[0].p)
    return claim


def equal_cost_claim(
    cell: Cell, baseline: Cell, metric: Metric, items: Sequence[str], rule: Rule, axis: str
) -> Claim | None:
    """The policies at the largest cost that every run of both has reached; None if that is 0."""
    cell, baseline, dropped = aligned(cell, baseline)
    cost = min(run.last.cost[axis] for run in (*cell.runs, *baseline.runs))
    if cost <= 0:
        return None

    def values(of: Cell) -> Array:
        return np.stack([curve_of(run, metric, items, axis).at(cost) for run in of.runs])

    claim = _claim("equal_cost", cell, baseline, values, metric, rule)
    return replace(claim, seeds_dropped=dropped, axis=axis, cost=cost)


def _claim(
    kind: Kind, cell: Cell, baseline: Cell, values: Values, metric: Metric, rule: Rule
) -> Claim:
    paired = cell.seeds == baseline.seeds
    mine_SI, theirs_SI = values(cell), values(baseline)
    if paired:
        effect = estimate(mine_SI - theirs_SI, level=rule.level)
        spread = bootstrap_interval(mine_SI - theirs_SI, level=rule.level)
    else:
        effect = difference_of_independent(mine_SI, theirs_SI, level=rule.level)
        spread = bootstrap_interval(mine_SI, theirs_SI, level=rule.level)
    return Claim(
        kind=kind,
        cell=cell.name,
        baseline=baseline.name,
        metric=metric.name,
        effect=effect,
        bootstrap=spread,
        discordant=(),
        test="t",
        p=effect.p,
        seeds=cell.seeds,
        paired=paired,
        seeds_dropped=(),
    )


def _discordant(cell: Cell, baseline: Cell, items: Sequence[str]) -> list[Discordant]:
    """Whatever the metric, greedy answers are right or wrong; nothing where none were drawn."""
    found = []
    for mine, theirs in zip(cell.runs, baseline.runs, strict=True):
        pairs = [
            (mine.last.scores[key].greedy_right, theirs.last.scores[key].greedy_right)
            for key in items
        ]
        if any(None not in pair for pair in pairs):
            ours, others = pairs.count((True, False)), pairs.count((False, True))
            found.append(Discordant(mine.seed, ours, others, mcnemar(ours, others)))
    return found


def judged(claims: Sequence[Claim], rule: Rule) -> list[Claim]:
    """Claims of one kind with p corrected over them (Holm), verdict, and what they could have seen.

    The minimum detectable effect is of the strictest test of the correction: alpha over their
    number.
    """
    corrected = holm([claim.p for claim in claims])
    return [
        replace(
            claim,
            p_corrected=p,
            comparisons=len(claims),
            verdict=verdict(claim.effect.value, p, rule.alpha),
            mde=_mde(claim.effect, rule, len(claims)),
        )
        for claim, p in zip(claims, corrected, strict=True)
    ]


def _mde(effect: Estimate, rule: Rule, comparisons: int) -> float | None:
    """Of the blunter of the tests that p is the largest of."""
    alpha = rule.alpha / comparisons
    found = [minimum_detectable_effect(e, f, alpha=alpha, power=rule.power)
             for e, f in effect.tests]  # fmt: skip
    return max((each for each in found if each is not None), default=None)


def verdict(effect: float, p_corrected: float | None, alpha: float) -> Verdict:
    """`better` or `worse` where the corrected p is below alpha; what was not tested is neither."""
    if p_corrected is None or p_corrected >= alpha:
        return "inconclusive"
    return "better" if effect > 0 else "worse"
