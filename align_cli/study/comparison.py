"""A comparison: cells, their curves, and every claim about them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from align_cli.config.nearest import listed, meant
from align_cli.errors import AlignError, ConfigError
from align_cli.study.alike import check_alike, check_finished, mixed_makers
from align_cli.study.cells import Cell
from align_cli.study.curves import asked, curve_of, known_items, values_of
from align_cli.study.evidence import COSTS
from align_cli.study.metrics import Metric, metric_named
from align_cli.study.ratio import CostRatio, cost_ratio, judged_ratios
from align_cli.study.statistics import Estimate, estimate
from align_cli.study.tuning import Tuning, tuned
from align_cli.study.verdict import Claim, Rule, equal_cost_claim, final_claim, judged


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be compared, by what."""

    question: str
    cells: tuple[Cell, ...]
    baselines: Mapping[str, str]
    """{cell: its baseline}"""
    metric: str = "eval/sampled_accuracy"
    axis: str = "generated_tokens"
    rule: Rule = field(default_factory=Rule)
    target: float | None = None
    allowed: tuple[str, ...] = ()
    tuning: Tuning | None = None
    """Settings that each method chooses for itself, if any."""
    notes: tuple[str, ...] = ()
    """What is missing, said before anything is compared."""
    folder: Path | None = None
    """Of the study; None where runs were named."""


@dataclass(frozen=True)
class CurvePoint:
    """A cell after one round."""

    round: int | None
    cost: Mapping[str, float]
    """{axis: mean over seeds}"""
    level: Estimate
    by_seed: Mapping[int, tuple[Mapping[str, float], float]]
    """{seed: (cost by axis, metric)}"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The answer."""

    wanted: Wanted
    metric: Metric
    levels: Mapping[str, Estimate]
    """{cell: metric after the last round}"""
    curves: Mapping[str, tuple[CurvePoint, ...]]
    claims: tuple[Claim, ...]
    """Of the last round."""
    at_equal_cost: tuple[Claim, ...]
    """Along each axis of cost; the wanted axis first."""
    ratios: tuple[CostRatio, ...]
    items: int
    items_dropped: int
    notes: tuple[str, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """In the order of tables."""
        return self.wanted.cells


def compare(wanted: Wanted) -> Comparison:
    """Check that the runs were examined alike, then draw curves and make claims."""
    runs = [run for cell in wanted.cells for run in cell.runs]
    if not runs:
        raise ConfigError("nothing to compare: no run is finished")
    unfinished = [check_finished(run, allowed=wanted.allowed) for run in runs]
    notes = [*wanted.notes, *(note for note in unfinished if note is not None)]
    notes += check_alike(runs, allowed=wanted.allowed)
    notes += mixed_makers(runs)
    metric = metric_named(wanted.metric, [s for run in runs for s in run.last.scores.values()])
    items = known_items(runs, metric, all_points=True)
    if len(items) < 2 and not metric.is_exact:
        raise AlignError(f"{len(items)} held-out prompt to compare on; an interval needs 2 or more")
    dropped = len(asked(runs, metric)) - len(items)
    if wanted.tuning is not None:
        found_best = tuned(wanted.cells, wanted.tuning, metric, items)
        wanted = replace(wanted, cells=found_best.cells, baselines=found_best.baselines)
        items, notes = list(found_best.items), [*notes, *found_best.notes]
    pairs = _pairs(wanted)
    rule, axes = wanted.rule, _axes(wanted.axis)
    finals = judged([final_claim(a, b, metric, items, rule) for a, b in pairs], rule)
    equal: list[Claim] = []
    ratios: list[CostRatio] = []
    for axis in axes:
        claims = [equal_cost_claim(a, b, metric, items, rule, axis) for a, b in pairs]
        equal += judged([claim for claim in claims if claim is not None], rule)
        found = [cost_ratio(a, b, metric, items, rule, axis, wanted.target) for a, b in pairs]
        ratios += judged_ratios(found, rule)
    level = rule.level
    return Comparison(
        wanted=wanted,
        metric=metric,
        levels={c.name: estimate(values_of(c.runs, metric, items), level=level)
                for c in wanted.cells if c.runs},
        curves={c.name: tuple(_curve(c, metric, items, level)) for c in wanted.cells if c.runs},
        claims=tuple(finals),
        at_equal_cost=tuple(equal),
        ratios=tuple(ratios),
        items=len(items),
        items_dropped=dropped,
        notes=(*notes, *_remarks(wanted.cells, finals)),
    )  # fmt: skip


def _pairs(wanted: Wanted) -> list[tuple[Cell, Cell]]:
    by_name = {cell.name: cell for cell in wanted.cells}
    pairs = [(by_name[name], by_name[other]) for name, other in wanted.baselines.items()]
    return [(cell, baseline) for cell, baseline in pairs if cell.runs and baseline.runs]


def _axes(first: str) -> list[str]:
    if first not in COSTS:
        raise ConfigError(f"cost: got {first!r}{meant(first, COSTS)}; wanted {listed(COSTS)}")
    return [first, *(axis for axis in COSTS if axis != first)]


def _curve(cell: Cell, metric: Metric, items: Sequence[str], level: float) -> list[CurvePoint]:
    curves = {a: [curve_of(run, metric, items, a) for run in cell.runs] for a in COSTS}
    some = curves[COSTS[0]]
    points = []
    for k in range(min(len(curve.cost_K) for curve in some)):
        cost = {axis: float(np.mean([c.cost_K[k] for c in of])) for axis, of in curves.items()}
        by_seed = {
            seed: (
                {a: float(of[s].cost_K[k]) for a, of in curves.items()},
                float(some[s].mean_by_policy[k]),
            )
            for s, seed in enumerate(cell.seeds)
        }
        values_SI = np.stack([curve.values_KI[k] for curve in some])
        number = cell.runs[0].points[k].round
        points.append(CurvePoint(number, cost, estimate(values_SI, level=level), by_seed))
    return points


def _remarks(cells: Sequence[Cell], claims: Collection[Claim]) -> list[str]:
    """What a reader must know before believing an interval."""
    remarks = []
    single = [cell.name for cell in cells if len(cell.runs) == 1]
    if single:
        remarks.append(
            f"one seed only: {', '.join(single)}. Intervals are over held-out prompts alone; how "
            "results vary from seed to seed is unknown"
        )
    for claim in claims:
        if claim.seeds_dropped:
            remarks.append(
                f"{claim.cell} against {claim.baseline}: paired on seeds {_list(claim.seeds)}; "
                f"dropped, since only one of the two has them: {_list(claim.seeds_dropped)}"
            )
        elif not claim.paired:
            remarks.append(
                f"{claim.cell} against {claim.baseline}: no seed in common, so seeds are compared "
                "as two independent groups (prompts are still paired)"
            )
        if claim.p is None:
            remarks.append(
                f"{claim.cell} against {claim.baseline}: every prompt differs by the same amount, "
                "so there is no spread to test against"
            )
    return remarks


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
