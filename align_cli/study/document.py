"""A comparison as plain values: claims.json, --json and --csv."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from align_cli import __version__
from align_cli.study.cells import Cell, differences
from align_cli.study.comparison import Comparison, CurvePoint
from align_cli.study.evidence import COSTS
from align_cli.study.ratio import CostRatio
from align_cli.study.sentences import COST_RULE, CURVE_RULE, method, shared_count
from align_cli.study.statistics import Estimate
from align_cli.study.verdict import Claim


def claims_document(comparison: Comparison) -> dict[str, Any]:
    """What claims.json holds: each claim with the evidence it rests on, and how it was judged."""
    wanted = comparison.wanted
    return {
        "question": wanted.question,
        "align": __version__,
        "metric": comparison.metric.name,
        "alpha": wanted.rule.alpha,
        "power": wanted.rule.power,
        "n_items": comparison.items,
        "n_items_dropped": comparison.items_dropped,
        "method": [method(comparison), COST_RULE, CURVE_RULE],
        "notes": list(comparison.notes),
        "claims": [
            *(claim_values(claim) for claim in comparison.claims),
            *(claim_values(claim) for claim in comparison.at_equal_cost),
            *(ratio_values(ratio) for ratio in comparison.ratios),
        ],
    }


def whole_document(comparison: Comparison) -> dict[str, Any]:
    """What --json prints: the claims, and the cells, curves and runs that they come from."""
    return {
        **claims_document(comparison),
        "cost_axis": comparison.wanted.axis,
        "cells": [_cell(comparison, cell) for cell in comparison.cells],
        "differences": differences(comparison.cells),
        "shared_stages": shared_count(comparison),
    }


def claim_values(claim: Claim) -> dict[str, Any]:
    """One claim about a difference."""
    effect = claim.effect
    return {
        "kind": claim.kind,
        "cells": [claim.cell, claim.baseline],
        "metric": claim.metric,
        "cost_axis": claim.axis,
        "cost": claim.cost,
        "effect": effect.value,
        "interval": [effect.low, effect.high],
        "level": effect.level,
        "standard_error": effect.standard_error,
        "degrees_of_freedom": effect.freedom,
        "bootstrap_interval": list(claim.bootstrap),
        "test": claim.test,
        "p": claim.p,
        "p_corrected": claim.p_corrected,
        "comparisons": claim.comparisons,
        "n_items": effect.items,
        "n_seeds": effect.seeds,
        "seeds": list(claim.seeds),
        "seeds_paired": claim.paired,
        "seeds_dropped": list(claim.seeds_dropped),
        "seed_deviation": effect.seed_deviation,
        "mcnemar": [asdict(each) for each in claim.discordant],
        "mde": claim.mde,
        "verdict": claim.verdict,
    }


def ratio_values(ratio: CostRatio) -> dict[str, Any]:
    """One claim about cost at equal accuracy; the effect is the ratio, and 1 is none."""
    return {
        "kind": "cost_ratio",
        "cells": [ratio.cell, ratio.baseline],
        "metric": ratio.metric,
        "cost_axis": ratio.axis,
        "effect": ratio.ratio,
        "interval": None if ratio.low is None else [ratio.low, ratio.high],
        "p": ratio.p,
        "p_corrected": ratio.p_corrected,
        "comparisons": ratio.comparisons,
        "n_seeds": len(ratio.at),
        "seeds": list(ratio.seeds),
        "at": [{**asdict(each), "ratio": each.ratio} for each in ratio.at],
        "reached_baselines_best": ratio.reached,
        "reason": ratio.reason,
        "verdict": ratio.verdict,
    }


def _cell(comparison: Comparison, cell: Cell) -> dict[str, Any]:
    level = comparison.levels.get(cell.name)
    return {
        "name": cell.name,
        "choices": dict(cell.choices),
        "baseline": comparison.wanted.baselines.get(cell.name),
        "level": None if level is None else _estimate(level),
        "curve": [_point(point) for point in comparison.curves.get(cell.name, ())],
        "runs": [
            {
                "name": run.name,
                "seed": run.seed,
                "complete": run.complete,
                "shared": list(run.shared),
                "environment": dict(run.environment),
            }
            for run in cell.runs
        ],
    }


def _estimate(level: Estimate) -> dict[str, Any]:
    return {
        "mean": level.value,
        "interval": [level.low, level.high],
        "n_items": level.items,
        "n_seeds": level.seeds,
        "seed_deviation": level.seed_deviation,
    }


def _point(point: CurvePoint) -> dict[str, Any]:
    seeds = {str(seed): {**cost, "value": value} for seed, (cost, value) in point.by_seed.items()}
    return {
        "round": point.round,
        "cost": dict(point.cost),
        **_estimate(point.level),
        "seeds": seeds,
    }


COLUMNS = ("cell", "seed", "run", "round", *COSTS, "metric", "value")


def as_csv(comparison: Comparison) -> str:
    """The curves, one line for a scored policy: to be drawn by whatever draws best."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(comparison))
    return text.getvalue()


def _lines(comparison: Comparison) -> Sequence[Mapping[str, Any]]:
    runs = {(cell.name, run.seed): run.name for cell in comparison.cells for run in cell.runs}
    return [
        {
            "cell": name,
            "seed": seed,
            "run": runs[name, seed],
            # Before training there is no round to name.
            "round": "start" if point.round is None else point.round,
            **cost,
            "metric": comparison.metric.name,
            "value": value,
        }
        for name, points in comparison.curves.items()
        for point in points
        for seed, (cost, value) in point.by_seed.items()
    ]
