"""Under a verifier that lets wrong answers through, best-of-N's winners get worse as N grows."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Annotated

from align_cli.errors import ConfigError
from align_cli.lab.experiment import Cell, Experiment, Measurement, Results, values
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, judged, prose

Drawn = Mapping[int, list[float]]
"""{N: the share in each draw}."""

SHOWS = prose("""
    Of one difficulty the chance that a chosen answer is wrong is (1 - p) e / a at every N, with a =
    p + (1 - p) e what the verifier calls right: more draws do not make a winner worse. What grows
    is the share of hard prompts among those that yield a pair, 1 - (1 - a)^N - a^N, since a prompt
    that is hardly ever right yields one from sixteen answers and rarely from two; and its winners
    are nearly all false. The predicted share of the whole set is held against drawn verdicts.
""")
LIMITS = prose("""
    Selection under a defective verifier as in PACE (Rao et al. 2026, arXiv:2602.05370); the
    formulas are a reconstruction, not the paper's statement. The verifier errs by chance, alike on
    every wrong answer and never on a right one: one that errs on the same answer every time, or by
    length, is another (noise=by_length and others). Answers of a prompt are independent. What the
    false winners do to a policy is not computed here: docs/noise.md has runs.
""")


def false_winners(
    *,
    n: tuple[Annotated[int, ">= 2"], ...],
    right: tuple[Annotated[float, "[0, 1]"], ...],
    false_positive: Annotated[float, "(0, 1)"],
    beta_a: Annotated[float, "> 0"],
    beta_b: Annotated[float, "> 0"],
    prompts: Annotated[int, ">= 1"],
    seeds: Annotated[int, ">= 2"],
) -> Experiment:
    """Share of chosen answers that are wrong, best-of-N with first_right_first_wrong.

    Settings:
        n: answers per prompt.
        right: difficulties: chance that one answer is right; as many prompts of each.
        false_positive: chance that a wrong answer is called right.
        beta_a, beta_b: of another population, whose difficulties are Beta(a, b).
        prompts: drawn of each difficulty, to hold the prediction against.
        seeds: draws of all of them.
    """
    if not right:
        raise ConfigError("false_winners: lab.right is empty; name the chances of a right answer")
    common = {"right": list(right), "false_positive": false_positive}
    cells = (
        Cell(
            "predicted", "align_cli.lab.false_winners.predicted_by_n",
            {**common, "n": list(n), "beta_a": beta_a, "beta_b": beta_b},
        ),
        *(
            Cell(
                f"drawn, n={many}", "align_cli.lab.false_winners.drawn_share",
                {**common, "n": many, "prompts": prompts, "seeds": seeds},
            )
            for many in n
        ),
    )  # fmt: skip

    def read(results: Results) -> Reading:
        rows = results["predicted"]
        drawn = {many: values(results[f"drawn, n={many}"], "share") for many in n}
        beta = f"Beta({beta_a:g}, {beta_b:g})"
        claims = [_agreement(rows, many, drawn[many]) for many in n if len(drawn[many]) > 1]
        return Reading(
            claims=(_growth(rows, n), *claims),
            tables=(_shares(rows, drawn, beta), _by_difficulty(rows, n, right)),
            figures=(_growing(rows, drawn, beta), _yields(rows, n, right)),
            shows=SHOWS,
            limits=LIMITS,
        )

    return Experiment(cells if n else (), read)


def _shares(rows: Sequence[Measurement], drawn: Drawn, beta: str) -> Table:
    return Table(
        "share of chosen answers that are wrong",
        ("N", "predicted", "drawn", f"{beta}, predicted"),
        tuple(
            (many, _one(rows, "listed", many), fmean(found) if found else None,
             _one(rows, "beta", many))
            for many, found in drawn.items()
        ),
    )  # fmt: skip


def _by_difficulty(
    rows: Sequence[Measurement], n: tuple[int, ...], right: tuple[float, ...]
) -> Table:
    return Table(
        "by difficulty: chance of a pair, and that its chosen answer is wrong at any N",
        ("P(right)", "wrong", *(f"pair, N={many}" for many in n)),
        tuple(
            (f"{p:g}", _one(rows, f"false {p:g}", n[0]),
             *(_one(rows, f"pair {p:g}", many) for many in n))
            for p in right
        ),
    )  # fmt: skip


def _growing(rows: Sequence[Measurement], drawn: Drawn, beta: str) -> Figure:
    n = tuple(drawn)
    return Figure(
        title="false winners as N grows", x="answers per prompt", y="share of winners",
        log_x=True, log_y=False,
        lines={
            "listed difficulties": _line(rows, "listed", n),
            beta: _line(rows, "beta", n),
            "drawn": [Point(many, fmean(drawn[many])) for many in sorted(n) if drawn[many]],
        },
    )  # fmt: skip


def _yields(rows: Sequence[Measurement], n: tuple[int, ...], right: tuple[float, ...]) -> Figure:
    return Figure(
        title="who yields a pair", x="answers per prompt", y="chance of a pair",
        log_x=True, log_y=False,
        lines={f"P(right) {p:g}": _line(rows, f"pair {p:g}", n) for p in right},
    )  # fmt: skip


def _one(rows: Sequence[Measurement], quantity: str, at: int) -> float | None:
    found = values(rows, quantity, at)
    return found[0] if found else None


def _line(rows: Sequence[Measurement], quantity: str, n: tuple[int, ...]) -> list[Point]:
    return [Point(at, y) for at in sorted(n) if (y := _one(rows, quantity, at)) is not None]


def _growth(rows: Sequence[Measurement], n: tuple[int, ...]) -> Claim:
    line = _line(rows, "listed", n)
    said = ", ".join(f"{point.y:.3f} at {point.x:.0f}" for point in line)
    figures = {f"n={point.x:.0f}": point.y for point in line}
    return Claim("predicted", f"share of false winners by N: {said}", "even", figures)


def _agreement(rows: Sequence[Measurement], many: int, drawn: list[float]) -> Claim:
    mean = fmean(drawn)
    error = (fmean((share - mean) ** 2 for share in drawn) / (len(drawn) - 1)) ** 0.5
    predicted = _one(rows, "listed", many)
    assert predicted is not None
    return judged(
        abs(mean - predicted) <= 4 * error,
        f"N={many}: drawn {mean:.4f} (standard error {error:.1g}), predicted {predicted:.4f}: "
        "within four standard errors",
        {"drawn": mean, "predicted": predicted},
    )  # fmt: skip
