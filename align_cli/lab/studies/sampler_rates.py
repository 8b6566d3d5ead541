"""Exact DPO steps: uniform pairs converge linearly, mixed ones quadratically."""

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Annotated

from align_cli.lab.experiment import Cell, Experiment, Results, values
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, judged, prose

SAMPLERS = ("uniform", "dpo_mix_r", "dpo_mix_p")
ROUNDING = 1e-13
"""An error below it is made of rounding, and no rate is read off it."""
SHOWS = prose("""
    The largest error of any reward difference after each exact gradient step of the trainer's own
    DPO loss. With uniform pairs each step divides the error by about the same factor. Where pairs
    that the (true or implicit) rewards set far apart come more often, by just the weight that makes
    the logistic gradient linear, the error is about squared at every step. The order p is that of
    error' = c error^p over the last three steps above rounding: 1 is linear, 2 quadratic.
""")
LIMITS = prose("""
    Source: Shi et al. 2024 (arXiv:2409.19605); the mixture of the two samplers and the step (1 /
    arms in reward units) are a reconstruction. These are rates of exact gradients of a tabular
    policy, where nothing is sampled: what a sampler costs in labels is another matter (align sweep
    samples_to_target). dpo_mix_r knows the true rewards. One instance of uniform rewards.
""")


def sampler_rates(
    *,
    arms: Annotated[int, ">= 2"],
    steps: Annotated[int, ">= 1"],
    beta: Annotated[float, "> 0"],
    instance_seed: Annotated[int, ">= 0"],
) -> Experiment:
    """Error by exact DPO step of a tabular policy under DPO-Unif, DPO-Mix-R and DPO-Mix-P.

    Settings:
        arms: with rewards uniform in [0, 1] and a uniform reference.
        steps: exact gradient steps.
        beta: of the bandit and of the loss; it cancels.
        instance_seed: of the rewards.
    """
    cells = tuple(
        Cell(
            sampler,
            "align_cli.lab.sampler_rates.sup_errors",
            {
                "sampler": sampler, "beta": beta, "arms": arms, "steps": steps,
                "instance_seed": instance_seed,
            },
        )
        for sampler in SAMPLERS
    )  # fmt: skip

    def read(results: Results) -> Reading:
        errors = {sampler: values(results[sampler], "error") for sampler in SAMPLERS}
        table = Table(
            "largest error of a reward difference, by step",
            ("sampler", *(str(step) for step in range(steps + 1))),
            tuple((name, *(f"{error:.1e}" for error in found)) for name, found in errors.items()),
        )
        figure = Figure(
            title="error by exact step", x="step", y="largest error [reward units]",
            lines={
                name: [Point(step, error) for step, error in enumerate(found)]
                for name, found in errors.items()
            },
        )  # fmt: skip
        claims = [claim for name, found in errors.items() if (claim := _claim(name, found))]
        return Reading(
            claims=tuple(claims), tables=(table,), figures=(figure,), shows=SHOWS, limits=LIMITS
        )

    return Experiment(cells, read)


def _claim(name: str, errors: Sequence[float]) -> Claim | None:
    """Linear or quadratic, by the order over the last steps; None where there are too few."""
    seen = [error for error in errors if error > ROUNDING]
    if len(seen) < 3:
        return None
    order = log(seen[-1] / seen[-2]) / log(seen[-2] / seen[-3])
    if name == "uniform":
        factors = ", ".join(f"{a / b:.3g}" for a, b in pairwise(seen))
        text = f"{name}: linear, order {order:.2f}; a step divides the error by {factors}"
        return judged(abs(order - 1) < 0.25, text, {"order": order})
    text = f"{name}: quadratic, order {order:.2f}"
    return judged(abs(order - 2) < 0.5, text, {"order": order})
