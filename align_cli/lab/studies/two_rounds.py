"""Pairs of the policy and a G-optimal design need two rounds, whatever the reference covers."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from align_cli.bandit.instance import check_pairs
from align_cli.lab.coverage import constant, instance
from align_cli.lab.experiment import Cell, Experiment, Results, medians
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, Value, judged, prose

WAYS = {"offline": "offline", "on-policy": "on_policy", "hybrid": "g_optimal"}
FILLED = {"on-policy": "on_policy", "policy x uniform": "policy_uniform", "hybrid": "g_optimal"}
Lines = Mapping[str, Sequence[Point]]
"""{cell: a figure by round}."""

SHOWS = prose("""
    One answer of each pair from the policy and one from the design that makes the largest leverage
    least: after one round every arm's reward is known alike well, so the first fit is near the
    optimum however rarely the reference plays it, and the second round attains the rate of pairs
    drawn at the optimum, tr(V* I^-1) / 2n. Two rounds of on-policy or offline pairs depend on
    coverage. Useless copies of the common arm ruin uniform pairing, which spends its labels on
    them; the design, for which copies are one arm, does not notice.
""")
LIMITS = prose("""
    Reconstruction of Kim et al. 2026 (arXiv:2601.08421): that the current policy is paired with a
    design was read second-hand, the centring at the policy and all constants are choices made
    here. The constant still grows slowly as the rare mass falls: rewards lie further apart, so a
    label tells less (sigmoid' flattens), which is no matter of coverage. The design knows all arms
    and their features, which nobody does of a language model's answers. Medians of seeds.
""")


def two_rounds(
    *,
    rare_mass: tuple[Annotated[float, "(0, 1)"], ...],
    pairs: Annotated[int, ">= 1"],
    fillers: Annotated[int, ">= 1"],
    filled_rare_mass: Annotated[float, "(0, 1)"],
    filled_pairs: Annotated[int, ">= 1"],
    seeds: Annotated[int, ">= 1"],
    factor: Annotated[float, "> 1"],
) -> Experiment:
    """Two rounds of DPO to convergence on instance `rare`, offline, on-policy and hybrid.

    And on-policy, policy x uniform and hybrid where the common arm has useless copies.

    Settings:
        rare_mass: of the cluster under the reference.
        pairs: drawn per round, at least as many as features (5).
        fillers: copies of the common arm, which share its mass.
        filled_rare_mass, filled_pairs: the same two, of the instance with copies.
        seeds: runs that a median is of.
        factor: of tr(V* I^-1) / 2n within which the hybrid's second round is to lie.
    """
    for mass, many in (
        *((mass, pairs) for mass in rare_mass),
        (filled_rare_mass, filled_pairs),
    ):
        check_pairs(instance(mass), many)
    common = {"rounds": 2, "seeds": seeds}
    plain = [
        _cell(_plain(mass, way), {"rare_mass": mass, "sampler": sampler, "pairs": pairs, **common})
        for mass in rare_mass
        for way, sampler in WAYS.items()
    ]
    copies = {"rare_mass": filled_rare_mass, "pairs": filled_pairs, "fillers": fillers, **common}
    filled = [
        _cell(_filled(fillers, way), {**copies, "sampler": sampler})
        for way, sampler in FILLED.items()
    ]

    def read(results: Results) -> Reading:
        kl = {name: medians(rows, "kl") for name, rows in results.items()}
        limits = {mass: constant(mass, "g_optimal") / pairs for mass in rare_mass}
        title = f"median KL [nats] after rounds 1 and 2 of {pairs} pairs"
        titled = (
            f"median KL [nats] with {fillers} fillers, rare_mass={filled_rare_mass:g}, "
            f"{filled_pairs} pairs a round"
        )
        bars = f"quartiles of {seeds} seeds"
        claims = [
            _claim(mass, kl[_plain(mass, "hybrid")][2].y, limits[mass], factor)
            for mass in rare_mass
        ]
        return Reading(
            claims=(*claims, _not_misled(kl, fillers)),
            tables=(_by_mass(title, kl, limits), _by_round(titled, kl, fillers)),
            figures=(_against_mass(kl, limits), _against_rounds(kl, fillers, bars)),
            shows=SHOWS,
            limits=LIMITS,
        )

    return Experiment((*plain, *filled), read)


def _plain(mass: float, way: str) -> str:
    """The name of a cell without fillers."""
    return f"rare_mass={mass:g}, {way}"


def _filled(fillers: int, way: str) -> str:
    """The name of a cell with fillers."""
    return f"{fillers} fillers, {way}"


def _cell(name: str, settings: Mapping[str, Any]) -> Cell:
    return Cell(name, "align_cli.lab.coverage.rounds_of_dpo", dict(settings))


def _by_mass(title: str, kl: Lines, limits: Mapping[float, float]) -> Table:
    columns = [f"{way} {number}" for way in WAYS for number in (1, 2)]
    rows: list[tuple[Value, ...]] = [
        (
            f"{mass:g}",
            *(kl[_plain(mass, way)][number].y for way in WAYS for number in (1, 2)),
            limit,
        )
        for mass, limit in limits.items()
    ]
    return Table(title, ("rare mass", *columns, "hybrid limit"), tuple(rows))


def _by_round(title: str, kl: Lines, fillers: int) -> Table:
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (way, *(point.y for point in kl[_filled(fillers, way)])) for way in FILLED
    )
    return Table(title, ("way", "start", "round 1", "round 2"), rows)


def _against_mass(kl: Lines, limits: Mapping[float, float]) -> Figure:
    masses = sorted(limits)
    lines = {way: [Point(m, kl[_plain(m, way)][2].y) for m in masses] for way in WAYS}
    lines["hybrid's limit"] = [Point(mass, limits[mass]) for mass in masses]
    return Figure(
        title="KL after two rounds", x="rare mass under the reference", y="KL [nats]",
        log_x=True, lines=lines,
    )  # fmt: skip


def _against_rounds(kl: Lines, fillers: int, bars: str) -> Figure:
    lines = {way: kl[_filled(fillers, way)] for way in FILLED}
    return Figure(
        title=f"with {fillers} useless copies", x="round", y="KL [nats]", lines=lines, bars=bars
    )


def _not_misled(kl: Lines, fillers: int) -> Claim:
    ends = {way: kl[_filled(fillers, way)][2].y for way in FILLED}
    return judged(
        ends["hybrid"] < min(ends["on-policy"], ends["policy x uniform"]),
        f"with {fillers} fillers two rounds leave a KL of {ends['hybrid']:.3g} hybrid, "
        f"{ends['policy x uniform']:.3g} policy x uniform, {ends['on-policy']:.3g} "
        "on-policy: the design is not misled by copies",
        ends,
    )


def _claim(mass: float, kl: float, limit: float, factor: float) -> Claim:
    return judged(
        kl <= factor * limit,
        f"rare_mass={mass:g}: the hybrid's second round is at a median KL of {kl:.3g}, "
        f"{kl / limit:.2f} times tr(V* I^-1) / 2n = {limit:.3g} (wanted at most {factor:g} times)",
        {"kl": kl, "limit": limit},
    )
