"""What a study will take: scaled from a measured run, or bounded by the model's shape."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_cli.loop.known_places import KNOWN
from align_cli.study.budget import Spent
from align_cli.study.grid import Cell, Grid
from align_cli.study.measured import Measured, measured_runs
from align_cli.study.shape import Shape, shape_of
from align_cli.study.works import Work, distinct, works_of

if TYPE_CHECKING:
    from align_cli.config.schema import RunConfig

HOUR_S = 3600.0
BY_DRAWS = ("2_pool", "2_features", "2_completions", "3_labels")
"""Places whose cost grows with the draws."""
KNOWN_PLACES = {place for place, _, _ in KNOWN.values()}


@dataclass(frozen=True)
class Estimate:
    """Tokens, FLOPs and seconds of some stages; None is unknown."""

    tokens: float | None = 0.0
    flops: float | None = 0.0
    seconds: float | None = 0.0

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(
            _sum(self.tokens, other.tokens),
            _sum(self.flops, other.flops),
            _sum(self.seconds, other.seconds),
        )


class Oracle:
    """Estimates stages of cells from what an outputs folder has measured."""

    def __init__(self, outputs: Path) -> None:
        self._runs = measured_runs(outputs)
        self._known: dict[str, tuple[Measured | None, dict[tuple[int | None, str], Work]]] = {}
        self._shapes: dict[str, Shape | None] = {}

    def basis(self, cell: Cell) -> Measured | None:
        """The measured run that is most like the cell."""
        identity = _identity(cell.config)
        likeness = [(run.likeness(identity), run.name, run) for run in self._runs]
        usable = [(like, name, run) for like, name, run in likeness if like is not None]
        return max(usable, key=lambda each: each[:2])[2] if usable else None

    def basis_of(self, cell: Cell) -> Measured | None:
        """The same, looked up once a cell."""
        if cell.run not in self._known:
            self._known[cell.run] = (self.basis(cell), {})
        return self._known[cell.run][0]

    def source(self, cell: Cell) -> str:
        """Where the cell's estimate comes from, for people."""
        basis = self.basis_of(cell)
        if basis is None:
            known = self._shape(cell.config) is not None
            return "the model's shape, every answer at its longest" if known else "the settings"
        if basis.same_but_seed(_identity(cell.config)):
            return "a measured run of the same settings"
        return "the nearest measured run, scaled"

    def of(self, cell: Cell, works: Sequence[Work]) -> Estimate:
        """What some of a cell's stages take."""
        total = Estimate()
        for work in works:
            total = total + self._one(cell, work)
        return total

    def start(self, cell: Cell) -> Estimate:
        """What a cell takes besides its stages."""
        basis = self.basis_of(cell)
        return Estimate(0.0, 0.0, None if basis is None else basis.overhead)

    def _one(self, cell: Cell, work: Work) -> Estimate:
        basis = self.basis_of(cell)
        if basis is None:
            return self._bounded(cell.config, work)
        cost = basis.at(work.round_number, work.place)
        if cost is None and work.place == "2_pool":
            cost = basis.at(work.round_number, "2_completions")
        if cost is None:
            return Estimate() if work.place == "4_pairs" else Estimate(None, None, None)
        factor = self._scale(cell, work, basis)
        return (
            Estimate(None, None, None) if factor is None else Estimate(*(c * factor for c in cost))
        )

    def _scale(self, cell: Cell, work: Work, basis: Measured) -> float | None:
        """How much larger the stage is here than there."""
        identity = _identity(cell.config)
        setting_up = work.round_number is None and work.place != "6_scores"
        if setting_up or basis.same_but_seed(identity):
            return work.share
        there = units_there(basis, work.place)
        here = work.units
        if work.place in BY_DRAWS and here is not None:
            drawn = self._draws(identity)
            size = identity.get("task.prompts_per_round")
            here = here if drawn is None or size is None else drawn * float(size) * work.share
        return None if here is None or not there else here / there

    def _draws(self, identity: dict[str, Any]) -> float | None:
        """Draws per prompt that a run with this sampler has measured."""
        mine = {k: v for k, v in identity.items() if k.startswith("sampler.")}
        for run in self._runs:
            if all(run.identity.get(key) == value for key, value in mine.items()):
                return run.draws_per_prompt
        return None

    def _shape(self, config: "RunConfig") -> Shape | None:
        path = str(config.bindings["policy"].settings.get("path", ""))
        if path not in self._shapes:
            self._shapes[path] = shape_of(path) if path else None
        return self._shapes[path]

    def _bounded(self, config: "RunConfig", work: Work) -> Estimate:
        """At most: as many draws as can be, each as long as it may be, every prompt a pair."""
        group = "evaluation" if work.place == "6_scores" else "sampler"
        longest = config.bindings[group].settings.get("max_new_tokens")
        setting_up = work.round_number is None and work.place == "5_policy"
        if setting_up or work.place in ("1_prompts", "3_labels", "4_pairs"):
            return Estimate(0.0, 0.0, None)
        if work.units is None or not isinstance(longest, int):
            return Estimate(None, None, None)
        sides, passes = {"5_policy": (2, 3)}.get(work.place, (1, 1))
        if work.place in KNOWN_PLACES:
            sides = 2
        if work.place == "6_scores" and work.round_number is not None:
            passes = 3  # Drawn, then scored under the reference and the initial policy.
        tokens = work.units * sides * longest
        shape = self._shape(config)
        flops = None if shape is None else passes * shape.flops(tokens, longest / 2)
        drawn = work.place in ("2_completions", "2_pool", "6_scores")
        return Estimate(tokens if drawn else 0.0, flops, None)


def units_there(run: Measured, place: str) -> float | None:
    """The units of `Work` at a place of a measured run, from its settings and measured draws."""
    identity = run.identity
    size, exam = identity.get("task.prompts_per_round"), identity.get("task.heldout_prompts")
    if place == "6_scores":
        answers = identity.get("evaluation.samples")
        greedy = bool(identity.get("evaluation.greedy"))
        return None if answers is None or exam is None else (answers + greedy) * float(exam)
    if size is None:
        return None
    if place in BY_DRAWS:
        drawn = run.draws_per_prompt
        return None if drawn is None else drawn * float(size)
    if place == "5_policy":
        return float(size) * float(identity.get("schedule.epochs", 1))
    return float(size)


def estimator(grid: Grid) -> Callable[[Cell, Sequence[Cell]], Spent]:
    """What a cell adds to those that are done or running, for the budget."""

    def estimate(cell: Cell, known: Sequence[Cell]) -> Spent:
        oracle = Oracle(grid.outputs)
        there = distinct(work for other in known for work in works_of(other.config))
        mine = [work for key, work in distinct(works_of(cell.config)).items() if key not in there]
        total = oracle.of(cell, mine) + oracle.start(cell)
        return Spent(total.tokens, None if total.seconds is None else total.seconds / HOUR_S)

    return estimate


def _identity(config: "RunConfig") -> dict[str, Any]:
    """As a run folder keeps it."""
    return dict(json.loads(json.dumps(config.identity(), default=list)))


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
