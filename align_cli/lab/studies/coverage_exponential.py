"""On-policy rounds converge exponentially above a threshold; offline pairs do not."""

from typing import Annotated

from align_cli.bandit.instance import check_pairs
from align_cli.lab.coverage import instance
from align_cli.lab.experiment import Cell, Experiment, Results, medians
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, prose

WAYS = {
    "on-policy": {"sampler": "on_policy", "accumulate": False},
    "on-policy pooled": {"sampler": "on_policy", "accumulate": True},
    "offline pooled": {"sampler": "offline", "accumulate": True},
}
SHOWS = prose("""
    Each on-policy round draws pairs from the policy of the round before. With enough pairs a round
    the first fits reach the rare cluster, coverage tr(V* V^-1) falls towards the number of
    features (its value at the optimum), and from there the error falls by a factor a round until
    the floor that one batch allows. Pairs of the reference, however many, keep its coverage. With
    too few pairs a round nothing of the cluster is seen and neither way moves.
""")
LIMITS = prose("""
    Reconstruction of Kim et al. 2026 (arXiv:2601.08421): of the paper only the claims could be
    read. The instance, beta, the ball of 1.5 |theta*|, fresh batches (the second line keeps all
    pairs) and every constant are choices made here, so the threshold is that of this instance, not
    the paper's. Medians of seeds; the bars are quartiles, no intervals of the median. One context,
    exact Bradley-Terry labels, a realisable reward: nothing is said of language models.
""")


def coverage_exponential(
    *,
    rare_mass: tuple[Annotated[float, "(0, 1)"], ...],
    pairs: tuple[Annotated[int, ">= 1"], ...],
    rounds: Annotated[int, ">= 1"],
    seeds: Annotated[int, ">= 1"],
    target_kl: Annotated[float, "> 0", "nats"],
) -> Experiment:
    """DPO to convergence on instance `rare`, round after round, three ways.

    on-policy - pairs from the policy of the round before, fitted on the round's pairs alone
    on-policy pooled - the same, fitted on the pairs of all rounds so far
    offline pooled - pairs from the reference, fitted on all so far: as many as the others drew

    Settings:
        rare_mass: of the cluster under the reference, which the best policy plays with 0.7.
        pairs: drawn per round, at least as many as features (5).
        rounds, seeds: rounds, and runs that a median is of.
        target_kl: KL(pi* || policy) that counts as reached [nats].
    """
    for mass in rare_mass:
        for many in pairs:
            check_pairs(instance(mass), many)
    cells = tuple(
        Cell(
            f"rare_mass={mass:g}, pairs={many}, {way}",
            "align_cli.lab.coverage.rounds_of_dpo",
            {"rare_mass": mass, "pairs": many, "rounds": rounds, "seeds": seeds, **how},
        )
        for mass in rare_mass
        for many in pairs
        for way, how in WAYS.items()
    )

    def read(results: Results) -> Reading:
        claims, tables, figures = [], [], []
        for mass in rare_mass:
            for many in pairs:
                where = f"rare_mass={mass:g}, pairs={many}"
                mine = {way: results[f"{where}, {way}"] for way in WAYS}
                kl = {way: medians(rows, "kl") for way, rows in mine.items()}
                claims.append(_claim(where, kl, target_kl))
                tables.append(_table(where, kl))
                figures += [
                    Figure(
                        title=f"{where}: KL to the best policy",
                        x="round", y="KL [nats]", lines=kl, bars=f"quartiles of {seeds} seeds",
                        levels={"target": target_kl},
                    ),
                    Figure(
                        title=f"{where}: coverage",
                        x="round", y="tr(V* V^-1)", bars=f"quartiles of {seeds} seeds",
                        lines={way: medians(rows, "coverage") for way, rows in mine.items()},
                    ),
                ]  # fmt: skip
        return Reading(
            claims=tuple(claims), tables=tuple(tables), figures=tuple(figures),
            shows=SHOWS, limits=LIMITS,
        )  # fmt: skip

    return Experiment(cells, read)


def _claim(where: str, kl: dict[str, tuple[Point, ...]], target: float) -> Claim:
    online, offline = kl["on-policy"], kl["offline pooled"]
    first = next((point for point in online if point.y <= target), None)
    if first is None:
        least = min(point.y for point in online)
        text = (
            f"{where}: on-policy stays above KL {target:g} (least median {least:.3g}, start "
            f"{online[0].y:.3g}); offline ends at {offline[-1].y:.3g}"
        )
        figures = {"on_policy_least": least, "offline_last": offline[-1].y}
        return Claim("not reached", text, "even", figures)
    there = next(point.y for point in offline if point.x == first.x)
    text = (
        f"{where}: on-policy is at a median KL of {first.y:.3g} in round {first.x:.0f} (target "
        f"{target:g}); offline with as many pairs is at {there:.3g} there, {offline[-1].y:.3g} in "
        f"round {offline[-1].x:.0f}"
    )
    figures = {"round": first.x, "on_policy": first.y, "offline": there}
    return Claim("reached", text, "good", figures)


def _table(where: str, kl: dict[str, tuple[Point, ...]]) -> Table:
    numbers = [f"{point.x:.0f}" for point in next(iter(kl.values()))]
    return Table(
        f"{where}: median KL by round [nats]",
        ("way", *numbers),
        tuple((way, *(point.y for point in points)) for way, points in kl.items()),
    )
