"""Reward distillation without noise recovers a linear class exactly, and a tabular one faster."""

from statistics import fmean
from typing import Annotated

from align_cli.bandit.instance import check_pairs
from align_cli.bandit.instances import rare
from align_cli.lab.experiment import Cell, Experiment, Results, values
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, Value, judged, prose
from align_cli.lab.slope import slope

EXACT = 1e-12
"""A KL that only rounding keeps from 0 [nats]."""
SOURCES = ("best", "reference")

Places = tuple[int, ...]
Found = dict[str, list[float]]
"""{line: its figure at every place}."""

SHOWS = prose("""
    Where a teacher shows the reward gap of a pair instead of a preference, and shows it without
    noise, least squares in a linear class is exact as soon as the differences that were drawn span
    the features: soon with pairs of the best policy, late with pairs of a reference that rarely
    plays what counts. In a tabular class every arm must be seen: what is left is the mass of arms
    not yet seen, which falls about as 1/n, and with noise as the usual 1/sqrt(n).
""")
LIMITS = prose("""
    Reconstruction of the noiseless rates of Kim et al. 2026 (arXiv:2601.08421), whose
    deviation-based coverage and constants could not be read; the square is that of Fisch et al.
    2024 (arXiv:2405.19316) and REBEL. The slope near -1 holds where n is of the order of the arms
    times a few, and for this Zipf reference; it is fitted to a handful of sizes. Pairs are drawn at
    the best policy at once, so nothing is said of rounds. A realisable, exact teacher is assumed.
""")


def distillation_noiseless(
    *,
    rare_mass: Annotated[float, "(0, 1)"],
    recovery_pairs: tuple[Annotated[int, ">= 1"], ...],
    recovery_seeds: Annotated[int, ">= 1"],
    arms: Annotated[int, ">= 2"],
    deviation_pairs: tuple[Annotated[int, ">= 1"], ...],
    deviation_seeds: Annotated[int, ">= 1"],
    noise: Annotated[float, "> 0", "reward units"],
) -> Experiment:
    """How often least squares on true reward gaps is exact, and how its error falls with pairs.

    linear class - instance `rare`: share of runs with KL(pi* || policy) < 1e-12
    tabular class - instance `zipf`: mean |implicit - true reward| under the best policy

    Settings:
        rare_mass: of the linear instance's cluster under the reference.
        recovery_pairs: numbers of pairs in the linear class, at least as many as features (5).
        recovery_seeds: runs that a share is of.
        arms: of the tabular instance.
        deviation_pairs: numbers of pairs in the tabular class, at least two for a slope.
        deviation_seeds: runs, instance included, that a mean is of.
        noise: standard deviation of a gap's error in the noisy half [reward units].
    """
    for many in recovery_pairs:
        check_pairs(rare(rare_mass), many)
    linear = [
        Cell(
            f"linear, pairs of the {source}, {many}", "align_cli.lab.distillation.linear_kls",
            {"rare_mass": rare_mass, "source": source, "pairs": many, "seeds": recovery_seeds},
        )
        for source in SOURCES for many in recovery_pairs
    ]  # fmt: skip
    tabular = [
        Cell(
            f"tabular, noise {level:g}, {many}", "align_cli.lab.distillation.tabular_deviations",
            {"pairs": many, "noise": level, "seeds": deviation_seeds, "arms": arms},
        )
        for level in (0.0, noise) for many in deviation_pairs
    ]  # fmt: skip

    def read(results: Results) -> Reading:
        shares = {s: [_share(results, s, many) for many in recovery_pairs] for s in SOURCES}
        errors = {
            f"noise {level:g}": [
                fmean(values(results[f"tabular, noise {level:g}, {many}"], "deviation"))
                for many in deviation_pairs
            ]
            for level in (0.0, noise)
        }
        claims = [_recovery(source, recovery_pairs, shares[source]) for source in SOURCES]
        if len(set(deviation_pairs)) > 1:
            claims += _slopes(deviation_pairs, errors)
        return Reading(
            claims=tuple(claims),
            tables=_tables(recovery_pairs, shares, deviation_pairs, errors),
            figures=_figures(recovery_pairs, shares, deviation_pairs, errors),
            shows=SHOWS,
            limits=LIMITS,
        )

    return Experiment((*linear, *tabular), read)


def _share(results: Results, source: str, many: int) -> float:
    """Of the runs, those that are exact."""
    kls = values(results[f"linear, pairs of the {source}, {many}"], "kl")
    return fmean(float(kl < EXACT) for kl in kls)


def _tables(linear: Places, shares: Found, tabular: Places, errors: Found) -> tuple[Table, ...]:
    return (
        Table(
            "linear class: share of runs that are exact",
            ("pairs", *(f"of the {source}" for source in shares)),
            _rows(linear, shares),
        ),
        Table(
            "tabular class: mean |deviation| [reward units]",
            ("pairs", *errors),
            _rows(tabular, errors),
        ),
    )


def _rows(places: Places, found: Found) -> tuple[tuple[Value, ...], ...]:
    return tuple((many, *numbers) for many, *numbers in zip(places, *found.values(), strict=True))


def _figures(linear: Places, shares: Found, tabular: Places, errors: Found) -> tuple[Figure, ...]:
    return (
        Figure(
            title="linear class: how often it is exact", x="pairs", y="share of runs",
            log_x=True, log_y=False, lines=_lines(linear, shares),
        ),
        Figure(
            title="tabular class: error", x="pairs", y="mean |deviation|",
            log_x=True, lines=_lines(tabular, errors),
        ),
    )  # fmt: skip


def _lines(places: Places, found: Found) -> dict[str, list[Point]]:
    return {
        name: [Point(x, y) for x, y in sorted(zip(places, each, strict=True))]
        for name, each in found.items()
    }


def _recovery(source: str, places: Places, shares: list[float]) -> Claim:
    said = ", ".join(f"{share:.2f} at {many}" for many, share in zip(places, shares, strict=True))
    figures = {str(many): share for many, share in zip(places, shares, strict=True)}
    return Claim("measured", f"exact recovery from pairs of the {source}: {said}", "even", figures)


def _slopes(places: Places, errors: Found) -> list[Claim]:
    slopes = {name: slope(places, found) for name, found in errors.items()}
    clean, noisy = slopes.values()
    text = "; ".join(f"{name}: slope {value:.2f}" for name, value in slopes.items())
    faster = f"d log deviation / d log pairs, {text}: faster without noise"
    return [judged(clean < noisy, faster, slopes)]
