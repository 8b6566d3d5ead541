"""Pairs of the policy and a G-optimal design need two rounds, whatever the reference covers."""

from typing import Annotated

from align_cli.bandit.instance import check_pairs
from align_cli.lab.coverage import constant, instance
from align_cli.lab.experiment import Cell, Experiment, Results, medians
from align_cli.lab.reading import Claim, Figure, Point, Reading, Table, Value, judged, prose

WAYS = {"offline": "offline", "on-policy": "on_policy", "hybrid": "g_optimal"}
FILLED = {"on-policy": "on_policy", "policy x uniform": "policy_uniform", "hybrid": "g_optimal"}
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
    measure = "align_cli.lab.coverage.rounds_of_dpo"
    common = {"rounds": 2, "seeds": seeds}
    plain = [
        Cell(
            f"rare_mass={mass:g}, {way}", measure,
            {"rare_mass": mass, "sampler": sampler, "pairs": pairs, **common},
        )
        for mass in rare_mass for way, sampler in WAYS.items()
    ]  # fmt: skip
    filled = [
        Cell(
            f"{fillers} fillers, {way}", measure,
            {
                "rare_mass": filled_rare_mass, "sampler": sampler, "pairs": filled_pairs,
                "fillers": fillers, **common,
            },
        )
        for way, sampler in FILLED.items()
    ]  # fmt: skip

    def read(results: Results) -> Reading:
        kl = {name: medians(rows, "kl") for name, rows in results.items()}
        limits = {mass: constant(mass, "g_optimal") / pairs for mass in rare_mass}
        rows: list[tuple[Value, ...]] = [
            (
                f"{mass:g}",
                *(kl[f"rare_mass={mass:g}, {way}"][number].y for way in WAYS for number in (1, 2)),
                limits[mass],
            )
            for mass in rare_mass
        ]
        columns = [f"{way} {number}" for way in WAYS for number in (1, 2)]
        tables = (
            Table(
                f"median KL [nats] after rounds 1 and 2 of {pairs} pairs",
                ("rare mass", *columns, "hybrid limit"), tuple(rows),
            ),
            Table(
                f"median KL [nats] with {fillers} fillers, rare_mass={filled_rare_mass:g}, "
                f"{filled_pairs} pairs a round",
                ("way", "start", "round 1", "round 2"),
                tuple(
                    (way, *(point.y for point in kl[f"{fillers} fillers, {way}"])) for way in FILLED
                ),
            ),
        )  # fmt: skip
        lines = {
            way: [Point(m, kl[f"rare_mass={m:g}, {way}"][2].y) for m in sorted(rare_mass)]
            for way in WAYS
        }
        lines["hybrid's limit"] = [Point(mass, limits[mass]) for mass in sorted(rare_mass)]
        figures = (
            Figure(
                title="KL after two rounds", x="rare mass under the reference", y="KL [nats]",
                log_x=True, lines=lines,
            ),
            Figure(
                title=f"with {fillers} useless copies", x="round", y="KL [nats]",
                lines={way: kl[f"{fillers} fillers, {way}"] for way in FILLED},
                bars=f"quartiles of {seeds} seeds",
            ),
        )  # fmt: skip
        claims = [
            _claim(mass, kl[f"rare_mass={mass:g}, hybrid"][2].y, limits[mass], factor)
            for mass in rare_mass
        ]
        ends = {way: kl[f"{fillers} fillers, {way}"][2].y for way in FILLED}
        claims.append(
            judged(
                ends["hybrid"] < min(ends["on-policy"], ends["policy x uniform"]),
                f"with {fillers} fillers two rounds leave a KL of {ends['hybrid']:.3g} hybrid, "
                f"{ends['policy x uniform']:.3g} policy x uniform, {ends['on-policy']:.3g} "
                "on-policy: the design is not misled by copies",
                ends,
            )
        )
        return Reading(
            claims=tuple(claims), tables=tables, figures=figures, shows=SHOWS, limits=LIMITS
        )

    return Experiment((*plain, *filled), read)


def _claim(mass: float, kl: float, limit: float, factor: float) -> Claim:
    return judged(
        kl <= factor * limit,
        f"rare_mass={mass:g}: the hybrid's second round is at a median KL of {kl:.3g}, "
        f"{kl / limit:.2f} times tr(V* I^-1) / 2n = {limit:.3g} (wanted at most {factor:g} times)",
        {"kl": kl, "limit": limit},
    )
