"""Runs that never ran: scores and costs made up, for what a comparison makes of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from align_cli.rows import Score
from align_cli.study.cells import Cell
from align_cli.study.evidence import Point, RunEvidence

DRAWN = 4


def score(key: str, right: int, *, greedy: bool | None = None, unscored: int = 0) -> Score:
    samples = DRAWN - unscored
    return Score(
        prompt_id=key, stratum=f"{int(key) % 2 + 2} steps", greedy_right=greedy, samples=samples,
        right=right, unscored=unscored, majority_right=None, length_tokens=5.0, truncated=0,
    )  # fmt: skip


def point(number: int | None, right: Sequence[int], cost: float) -> Point:
    scores = {str(i): score(str(i), int(r), greedy=bool(r > 2)) for i, r in enumerate(right)}
    axes = {"generated_tokens": cost, "total_flops": 10 * cost, "seconds": cost / 100}
    return Point(number, scores, axes)


def run(
    name: str,
    seed: int,
    points: Sequence[Point],
    *,
    identity: Mapping[str, object] | None = None,
    choices: Mapping[str, str] | None = None,
    complete: bool = True,
    judge_code: str = "code",
) -> RunEvidence:
    settings: dict[str, object] = {"seed": seed, "evaluation.samples": DRAWN, **(identity or {})}
    return RunEvidence(
        name=name,
        folder=Path("outputs") / name,
        seed=seed,
        identity=settings,
        choices={"sampler": "pace", "loss": "dpo", **(choices or {})},
        environment={"align": "0", "versions": {"torch": "2"}},
        points=tuple(points),
        rounds_wanted=len(points) - 1,
        complete=complete,
        shared=("round_00/2_completions",),
        gold=dict.fromkeys(points[-1].scores, "1") if points else {},
        judge_code=judge_code,
    )


def cell(
    name: str,
    curves: Mapping[int, Sequence[tuple[float, Sequence[int]]]],
    **more: object,
) -> Cell:
    """{seed: [(cost, right answers by item), ...]}"""
    runs = [
        run(
            f"{name.replace(' ', '-')}-s{seed}",
            seed,
            [point(k - 1 if k else None, right, cost) for k, (cost, right) in enumerate(curve)],
            **more,  # type: ignore[arg-type]
        )
        for seed, curve in curves.items()
    ]
    return Cell(name, tuple(runs))


def skilled(
    stream: np.random.Generator, seeds: int, items: int, *, level: float, between: float
) -> list[list[int]]:
    """Right answers of `DRAWN` by seed and item, each item of its own difficulty."""
    hard_I = np.random.default_rng(7).normal(0, 1.2, items)
    skill_S = stream.normal(level, between, seeds)
    own_SI = stream.normal(0, 0.5, (seeds, items))
    chance_SI = 1 / (1 + np.exp(-(skill_S[:, None] + hard_I + own_SI)))
    counts: list[list[int]] = stream.binomial(DRAWN, chance_SI).tolist()
    return counts
