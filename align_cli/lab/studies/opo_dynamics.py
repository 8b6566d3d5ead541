"""OPO on exact policies: what its closed form, its step, its bound and its fixed points are."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.errors import ConfigError
from align_cli.lab.experiment import Cell, Experiment, Results, medians, values
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, Value, judged, prose

HOME = "align_cli.lab.opo_dynamics"
FIXED = {"escort": "exp((1 - alpha) A) / policy^(1 - alpha)", "absorbed": "exp((1 - alpha) A)"}
NAMES = {
    "sft": "SFT dL/dz", "opo_v": "OPO dL/dv", "opo_z": "OPO dL/dz",
    "log_delta": "log dL/dDelta", "log_z": "log dL/dz",
}  # fmt: skip
SHOWS = prose("""
    The closed form v* = (omega - E omega) / mu is the constrained optimum, and gradient descent in
    the ratio contracts by 1 - eta mu a step whatever alpha is. Below the bound on mu it asks for
    probabilities below 0. Iterated with the escort factor the policy goes to softmax(rewards);
    with the factor absorbed (the implementable form) it goes to the best arm alone. The gradient
    does not vanish in v where the policy is sure; in the logit, which is what a network has, it
    vanishes as every other loss's does.
""")
LIMITS = prose("""
    The closed form, its contraction and the bound are the paper's own (Wang 2026,
    arXiv:2601.12415). Escort weights have mean 1 here, which the paper leaves open and which fixes
    the scale of mu. Fixed points and gradient table are derived, not the paper's: its toy figure's
    constants are not public, and it is met only if v or Delta is taken for the logit. Exact
    policies over a few arms; the language-model loss replaces v by the log-ratio.
""")


def opo_dynamics(
    *,
    arms: Annotated[int, ">= 2"],
    seeds: Annotated[int, ">= 1"],
    alpha: tuple[Annotated[float, "[0, 1)"], ...],
    mu: Annotated[float, "> 0"],
    eta: Annotated[float, "> 0"],
    steps: Annotated[int, ">= 1"],
    rounds: Annotated[int, ">= 1"],
    chances: tuple[Annotated[float, "(0, 1)"], ...],
    target: Annotated[float, "> 0"],
) -> Experiment:
    """OPO's dynamics on random policies over a few arms, its drive the one that the trainer calls.

    Settings:
        arms, seeds: of the random instances.
        alpha: of the escort weights; the first is that of the closed form and the fixed points.
        mu: stiffness; below the bound of an instance the closed form is refused, with the bound.
        eta, steps: gradient steps in the ratio; eta mu < 2.
        rounds: iterations towards a fixed point.
        chances: of the right arm, where gradients are looked at.
        target: v of the right arm that the gradients pull towards.
    """
    if not alpha:
        return Experiment((), lambda results: Reading(
            claims=(), tables=(), figures=(), shows=SHOWS, limits=LIMITS))  # fmt: skip
    if eta * mu >= 2:
        raise ConfigError(
            f"opo_dynamics: eta {eta:g} times mu {mu:g} is {eta * mu:g}; steps in the ratio "
            f"converge below 2: take eta < {2 / mu:g}"
        )
    one = {"arms": arms, "mu": mu}
    cells = (
        Cell("closed form", f"{HOME}.projection_gaps",
             {**one, "alpha": alpha[0], "seeds": seeds}),
        *(
            Cell(f"contraction, alpha={a:g}", f"{HOME}.contraction",
                 {**one, "alpha": a, "eta": eta, "steps": steps})
            for a in alpha
        ),
        *(
            Cell(f"fixed point, {drive}", f"{HOME}.fixed_point",
                 {**one, "drive": drive, "alpha": alpha[0], "steps": rounds})
            for drive in FIXED
        ),
        Cell("gradients", f"{HOME}.saturation",
             {"chances": list(chances), "target": target, "mu": mu}),
    )  # fmt: skip

    def read(results: Results) -> Reading:
        title = (
            f"gradients at probability p of the right arm (target v = {target:g}, mu = {mu:g}; SFT "
            "is DPO's at beta 1; log: OPO's log surrogate)"
        )
        claims = (
            *_projections(results, mu),
            *_contractions(results, alpha, (1 - eta * mu) ** steps),
            *_ends(results),
        )
        return Reading(
            claims=claims,
            tables=(_gradients(title, results, chances),),
            figures=(_iterated(results), _sizes(results, chances)),
            shows=SHOWS,
            limits=LIMITS,
        )

    return Experiment(cells, read)


def _gradients(title: str, results: Results, chances: tuple[float, ...]) -> Table:
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (f"{p:g}", *(values(results["gradients"], name, p)[0] for name in NAMES)) for p in chances
    )
    return Table(title, ("p", *NAMES.values()), rows)


def _iterated(results: Results) -> Figure:
    lines = {
        drive: _thinned(medians(results[f"fixed point, {drive}"], "distance")) for drive in FIXED
    }
    return Figure(
        title="iterated closed form", x="round", y="total variation to softmax(rewards)",
        lines=lines,
    )  # fmt: skip


def _sizes(results: Results, chances: tuple[float, ...]) -> Figure:
    def size(name: str, p: float) -> Point:
        return Point(1 - p, abs(values(results["gradients"], name, p)[0]))

    lines = {
        shown: [size(name, p) for p in sorted(chances, reverse=True)]
        for name, shown in NAMES.items()
    }
    return Figure(title="size of the gradient", x="1 - p", y="|gradient|", log_x=True, lines=lines)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """The first ten rounds and some thirty of the rest: enough for a line."""
    every = max(1, len(points) // 30)
    return [p for number, p in enumerate(points) if number <= 10 or number % every == 0]


def _projections(results: Results, mu: float) -> list[Claim]:
    rows = results["closed form"]
    closed, cut = max(values(rows, "closed")), max(values(rows, "bounded"))
    bound, advantage = max(values(rows, "bound")), max(values(rows, "advantage_bound"))
    return [
        judged(
            closed < 1e-4,
            f"closed form = constrained optimiser: largest difference {closed:.1e} (wanted 1e-4)",
            {"difference": closed},
        ),
        judged(
            cut < 1e-4,
            f"bounded projection = bounded optimiser: largest difference {cut:.1e} (wanted 1e-4)",
            {"difference": cut},
        ),
        Claim(
            "measured",
            f"every probability stays at 0 or above for mu >= {bound:.4g} with escort weights of "
            f"mean 1, for mu >= {advantage:.4g} with plain advantages (largest over instances; "
            f"here mu = {mu:g})",
            "even",
            {"escort": bound, "advantage": advantage},
        ),
    ]


def _contractions(results: Results, alpha: tuple[float, ...], wanted: float) -> list[Claim]:
    ends = {a: values(results[f"contraction, alpha={a:g}"], "ratio")[-1] for a in alpha}
    worst = max(abs(end - wanted) for end in ends.values())
    return [
        judged(
            worst < 1e-10,
            f"the error contracts by (1 - eta mu)^m = {wanted:.10g}, whatever alpha: largest "
            f"difference {worst:.1e} (wanted 1e-10)",
            {"difference": worst},
        )
    ]


def _ends(results: Results) -> list[Claim]:
    found = []
    for drive, form in FIXED.items():
        rows = results[f"fixed point, {drive}"]
        distance, best = values(rows, "distance")[-1], values(rows, "best")[-1]
        dead = int(values(rows, "dead")[-1])
        killed = f"; {dead} arms are cut to 0 for good" if dead else ""
        text = (
            f"{drive} weights {form}: after {rows[-1].at:.0f} rounds total variation to "
            f"softmax(rewards) is {distance:.2g}, the best arm's probability {best:.4f}{killed}"
        )
        figures = {"distance": distance, "best": best, "dead": dead}
        found.append(Claim("measured", text, "even", figures))
    return found
