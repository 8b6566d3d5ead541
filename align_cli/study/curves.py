"""Accuracy at equal cost, cost at equal accuracy: curves by item, straight between rounds.

Legend: K scored policies of a run, I items.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from align_cli.study.evidence import RunEvidence
from align_cli.study.metrics import Metric
from align_cli.study.statistics import Array


@dataclass(frozen=True)
class Curve:
    """How one run's items do as its cost grows."""

    cost_K: Array
    values_KI: Array

    @property
    def mean_by_policy(self) -> Array:
        """The metric itself."""
        mean: Array = self.values_KI.mean(axis=1)
        return mean

    def at(self, cost: float) -> Array:
        """Values by item at a cost within the curve, linear between the policies beside it."""
        if not self.cost_K[0] <= cost <= self.cost_K[-1]:
            raise ValueError(f"{cost} lies outside {self.cost_K[0]} .. {self.cost_K[-1]}")
        after = int(np.searchsorted(self.cost_K, cost))
        if self.cost_K[after] == cost:
            # Of several policies at one cost the last is what the cost bought.
            after = int(np.searchsorted(self.cost_K, cost, side="right")) - 1
            there: Array = self.values_KI[after]
            return there
        before = after - 1
        share = (cost - self.cost_K[before]) / (self.cost_K[after] - self.cost_K[before])
        between: Array = (1 - share) * self.values_KI[before] + share * self.values_KI[after]
        return between

    def cost_of(self, target: float) -> float | None:
        """The cost at which the mean first reaches `target`; None if it never does."""
        mean_by_policy = self.mean_by_policy
        reached = np.flatnonzero(mean_by_policy >= target - 1e-12)
        if not len(reached):
            return None
        after = int(reached[0])
        if after == 0:
            return float(self.cost_K[0])
        low, high = mean_by_policy[after - 1], mean_by_policy[after]
        share = min(1.0, (target - low) / (high - low))
        return float((1 - share) * self.cost_K[after - 1] + share * self.cost_K[after])


def known_items(runs: Sequence[RunEvidence], metric: Metric, *, all_points: bool) -> list[str]:
    """Prompt ids that every run has a value for, in the order of the first run.

    With `all_points` in every scored policy of each run, otherwise in the last.
    """
    kept = []
    policies = [p for run in runs for p in (run.points if all_points else (run.last,))]
    for key in asked(runs, metric):
        rows = [policy.scores.get(key) for policy in policies]
        if all(row is not None and metric.of(row) is not None for row in rows):
            kept.append(key)
    return kept


def asked(runs: Sequence[RunEvidence], metric: Metric) -> list[str]:
    """Prompt ids of the metric's stratum that any of the runs answers."""
    keys = {
        key: None
        for run in runs
        for key, row in run.last.scores.items()
        if metric.stratum in (None, row.stratum)
    }
    return list(keys)


def values_of(runs: Sequence[RunEvidence], metric: Metric, items: Sequence[str]) -> Array:
    """The values_SI of the policies that runs end with."""
    return np.array([[metric.of(run.last.scores[key]) for key in items] for run in runs])


def curve_of(run: RunEvidence, metric: Metric, items: Sequence[str], axis: str) -> Curve:
    """One run's curve against one axis of cost."""
    cost_K = np.array([point.cost[axis] for point in run.points])
    rows = [[metric.of(point.scores[key]) for key in items] for point in run.points]
    return Curve(cost_K, np.array(rows, dtype=np.float64))
