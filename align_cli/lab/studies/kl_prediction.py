"""The limit of many samples predicts the mean error of a fit."""

from statistics import fmean
from typing import Annotated

from align_cli.bandit.instance import check_pairs
from align_cli.lab.coverage import instance
from align_cli.lab.experiment import Cell, Experiment, Results, only, values
from align_cli.lab.reading import Reading, Table, judged, prose

SHOWS = prose("""
    DPO's fit is a maximum likelihood estimate, so with many pairs its KL to the best policy is on
    average tr(V* I^-1) / 2n: V* the features' covariance at the optimum, I = beta^2 E sigmoid'(r
    gap) dphi dphi^T what one label of the sampler tells. The predicted mean stands beside that of
    the seeds.
""")
LIMITS = prose("""
    Reconstruction: the delta method, not a statement of Kim et al. 2026 (arXiv:2601.08421). It is a
    limit: with few pairs the error is not quadratic, and where the ball or separable labels matter
    the mean is another. Pairs are drawn at the best policy's law at once, without rounds.
""")


def kl_prediction(
    *,
    rare_mass: Annotated[float, "(0, 1)"],
    on_policy_pairs: Annotated[int, ">= 1"],
    offline_pairs: Annotated[int, ">= 1"],
    seeds: Annotated[int, ">= 2"],
    within: Annotated[float, "> 0", "share"],
) -> Experiment:
    """Mean KL of one fit over seeds against tr(V* I^-1) / 2n, on-policy at the optimum and offline.

    Settings:
        rare_mass: of instance `rare`.
        on_policy_pairs: drawn from the best policy.
        offline_pairs: drawn from the reference.
        seeds: fits that the mean is of.
        within: largest relative difference that counts as agreement.
    """
    sizes = {"on_policy": on_policy_pairs, "offline": offline_pairs}
    for many in sizes.values():
        check_pairs(instance(rare_mass), many)
    cells = tuple(
        Cell(
            f"{sampler}, {many} pairs",
            "align_cli.lab.coverage.fitted_at_the_optimum",
            {"rare_mass": rare_mass, "sampler": sampler, "pairs": many, "seeds": seeds},
        )
        for sampler, many in sizes.items()
    )

    def read(results: Results) -> Reading:
        rows, claims = [], []
        for name, found in results.items():
            kls, predicted = values(found, "kl"), only(found, "predicted")
            mean = fmean(kls)
            error = (fmean((kl - mean) ** 2 for kl in kls) / (len(kls) - 1)) ** 0.5
            rows.append((name, predicted, mean, error, mean / predicted - 1))
            claims.append(
                judged(
                    abs(mean / predicted - 1) <= within,
                    f"{name}: mean KL {mean:.4g} of {len(kls)} seeds (standard error {error:.2g}), "
                    f"predicted {predicted:.4g}: {mean / predicted - 1:+.1%} (wanted {within:.0%})",
                    {"mean": mean, "predicted": predicted},
                )
            )  # fmt: skip
        columns = ("cell", "predicted", "mean of seeds", "standard error", "relative difference")
        table = Table("KL to the best policy [nats]", columns, tuple(rows))
        return Reading(
            claims=tuple(claims), tables=(table,), figures=(), shows=SHOWS, limits=LIMITS
        )

    return Experiment(cells, read)
