"""How many pairs a target takes, by how badly the reference covers the optimum."""

from typing import Annotated

from align_cli.lab.coverage import instance
from align_cli.lab.experiment import Cell, Experiment, Results, only
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, prose
from align_cli.lab.slope import slope

SHOWS = prose("""
    The total of labelled pairs, all rounds together, at which the median KL(pi* || policy) meets
    the target. Pairs of the reference need more the less it covers the optimum, about in inverse
    proportion to the rare mass. On-policy rounds need a batch that finds the rare cluster at all,
    and then hardly more. Where one answer of each pair comes from a G-optimal design centred at
    the policy, the reference's coverage hardly matters. Beside each total stands what the limit of
    many samples predicts, tr(V* I^-1) / 2 over the target times the rounds: it is close where the
    start does not matter, and what lies above it is the price of getting there.
""")
LIMITS = prose("""
    Reconstruction of Kim et al. 2026 (arXiv:2601.08421): instance, ball, fresh batches and
    constants are choices made here. Rounds and their equal sizes are fixed (offline 1, on-policy 4,
    hybrid 2), the grid has 16 numbers of pairs a decade, bisection takes the median to fall with
    them, and a median of few seeds moves by half of itself with the draws. A slope over a few
    decades of one instance is no exponent of a theorem.
""")


def samples_to_target(
    *,
    rare_mass: tuple[Annotated[float, "(0, 1)"], ...],
    target_kl: Annotated[float, "> 0", "nats"],
    seeds: Annotated[int, ">= 1"],
    most: Annotated[int, ">= 1", "pairs"],
    on_policy_rounds: Annotated[int, ">= 1"],
    hybrid_rounds: Annotated[int, ">= 1"],
) -> Experiment:
    """The least total number of pairs whose median KL meets the target, three ways.

    offline - one fit on pairs of the reference
    on-policy - rounds of equal size, each fitted on pairs of the policy of the round before
    hybrid - the same with pairs (policy, G-optimal design centred at the policy)

    Settings:
        rare_mass: of the cluster under the reference, of instance `rare`.
        target_kl: KL(pi* || policy) to be reached [nats].
        seeds: runs that a median is of.
        most: total pairs beyond which the target counts as out of reach; the study then fails.
        on_policy_rounds, hybrid_rounds: rounds that the total is divided into.
    """
    ways = {
        "offline": ("offline", 1),
        "on-policy": ("on_policy", on_policy_rounds),
        "hybrid": ("g_optimal", hybrid_rounds),
    }
    for mass in rare_mass:
        instance(mass)
    cells = tuple(
        Cell(
            f"rare_mass={mass:g}, {way}",
            "align_cli.lab.coverage.samples_to_target",
            {
                "rare_mass": mass, "sampler": sampler, "rounds": rounds, "seeds": seeds,
                "target_kl": target_kl, "most": most,
            },
        )
        for mass in rare_mass
        for way, (sampler, rounds) in ways.items()
    )  # fmt: skip

    def read(results: Results) -> Reading:
        def number(mass: float, way: str, quantity: str) -> float:
            return only(results[f"rare_mass={mass:g}, {way}"], quantity)

        totals = {way: [number(mass, way, "total") for mass in rare_mass] for way in ways}
        table = Table(
            f"pairs to a median KL of {target_kl:g}, all rounds together",
            ("rare mass", *ways, *(f"{way}, limit" for way in ways)),
            tuple(
                (
                    f"{mass:g}",
                    *(int(number(mass, way, "total")) for way in ways),
                    *(round(number(mass, way, "asymptotic")) for way in ways),
                )
                for mass in rare_mass
            ),
        )
        figure = Figure(
            title="pairs to the target", x="rare mass under the reference", y="pairs",
            log_x=True, log_y=True,
            lines={
                way: [Point(m, t) for m, t in sorted(zip(rare_mass, found, strict=True))]
                for way, found in totals.items()
            },
        )  # fmt: skip
        return Reading(
            claims=tuple(_claims(rare_mass, totals)), tables=(table,), figures=(figure,),
            shows=SHOWS, limits=LIMITS,
        )  # fmt: skip

    return Experiment(cells, read)


def _claims(masses: tuple[float, ...], totals: dict[str, list[float]]) -> list[Claim]:
    claims = []
    for way, found in totals.items():
        said = f"{way} takes {min(found):,.0f} to {max(found):,.0f} pairs"
        figures: dict[str, float] = {"least": min(found), "most": max(found)}
        if len(set(masses)) > 1:
            figures["slope"] = slope(masses, found)
            said += f"; d log pairs / d log rare mass is {figures['slope']:+.2f}"
        claims.append(Claim("measured", said, "even", figures))
    return claims
