"""The theory's claims, at few seeds: orders of magnitude and slopes, not digits."""

from statistics import fmean
from typing import Any

import pytest

from align_cli.bandit.diagnostics import kl_constant
from align_cli.bandit.instances import rare, with_fillers
from align_cli.bandit.policy import optimum
from align_cli.bandit.rounds import SAMPLERS
from align_cli.lab.coverage import (
    OutOfReach,
    fitted_at_the_optimum,
    median_kls,
    samples_to_target,
)
from align_cli.lab.distillation import linear_kls, tabular_deviations
from align_cli.lab.experiment import computed, medians, only, values
from align_cli.lab.slope import slope
from align_cli.lab.studies.coverage_exponential import WAYS, coverage_exponential
from align_cli.lab.studies.distillation_noiseless import EXACT


def test_samples_to_target_are_those_of_the_notes_within_a_factor_of_2() -> None:
    settings: dict[str, Any] = {"target_kl": 0.05, "seeds": 9, "most": 10**9}
    for sampler, rounds, rare_mass, wanted in (
        ("g_optimal", 2, 1e-1, 3.9e3),
        ("g_optimal", 2, 1e-4, 4.9e3),
        ("on_policy", 4, 1e-1, 6.3e3),
        ("on_policy", 4, 1e-4, 4.5e4),
        ("offline", 1, 1e-1, 1.3e4),
        ("offline", 1, 1e-3, 2.3e6),
    ):
        found = samples_to_target(rare_mass, sampler, rounds=rounds, **settings)
        total = only(found, "total")
        assert wanted / 2 < total < wanted * 2, (sampler, rare_mass)
    with pytest.raises(OutOfReach, match=r"median KL of .* wanted 0.05. Allow more pairs"):
        samples_to_target(1e-4, "offline", rounds=1, **{**settings, "most": 10**5})


def test_above_a_threshold_on_policy_rounds_converge_and_below_it_nothing_moves() -> None:
    study = coverage_exponential(
        rare_mass=(1e-3,), pairs=(10_000, 300), rounds=4, seeds=20, target_kl=0.05
    )
    results = computed(study)
    enough, few = ("rare_mass=0.001, pairs=10000, ", "rare_mass=0.001, pairs=300, ")
    start, *_, last = medians(results[f"{enough}on-policy"], "kl")
    assert start.y == pytest.approx(4.2348, abs=1e-4)
    assert last.y <= 0.05
    assert medians(results[f"{enough}offline pooled"], "kl")[-1].y >= 1
    assert min(p.y for way in WAYS for p in medians(results[f"{few}{way}"], "kl")) > 3
    # Coverage falls to the number of features, its value at the optimum.
    assert medians(results[f"{enough}on-policy"], "coverage")[-1].y == pytest.approx(5, rel=0.2)
    reached, not_reached = study.read(results).claims
    assert (reached.verdict, not_reached.verdict) == ("reached", "not reached")


@pytest.mark.parametrize("rare_mass", [1e-1, 1e-3, 1e-6])
def test_the_hybrid_needs_two_rounds_whatever_is_covered(rare_mass: float) -> None:
    bandit = rare(rare_mass)
    constant = kl_constant(bandit, SAMPLERS["g_optimal"](bandit, optimum(bandit)))
    reached = median_kls(bandit, "g_optimal", rounds=2, pairs=5000, seeds=20)[2]
    assert reached < 2 * constant / 5000


def test_fillers_ruin_uniform_pairs_and_not_the_design() -> None:
    bandit = with_fillers(rare(1e-3), 2000)
    assert median_kls(bandit, "g_optimal", rounds=2, pairs=2000, seeds=7)[2] < 0.15
    assert median_kls(bandit, "policy_uniform", rounds=2, pairs=2000, seeds=7)[2] > 1


@pytest.mark.parametrize(("sampler", "pairs"), [("on_policy", 30_000), ("offline", 1_000_000)])
def test_the_mean_kl_is_the_predicted_one(sampler: str, pairs: int) -> None:
    found = fitted_at_the_optimum(1e-2, sampler, pairs=pairs, seeds=400)
    assert fmean(values(found, "kl")) == pytest.approx(only(found, "predicted"), rel=0.1)


def exact_share(source: str, pairs: int) -> float:
    kls = values(linear_kls(1e-2, source, pairs=pairs, seeds=100), "kl")
    return fmean(float(kl < EXACT) for kl in kls)


def test_noiseless_distillation_recovers_linear_rewards_exactly() -> None:
    assert exact_share("best", 20) > 0.9
    assert exact_share("reference", 200) < 0.3
    assert exact_share("reference", 1000) > 0.9


@pytest.mark.parametrize(("noise", "wanted", "within"), [(0.0, -1.1, 0.15), (1.0, -0.5, 0.1)])
def test_tabular_distillation_is_faster_without_noise(
    noise: float, wanted: float, within: float
) -> None:
    sizes = (4000, 8000, 16_000, 32_000)
    errors = [
        fmean(values(tabular_deviations(pairs=n, noise=noise, seeds=2), "deviation")) for n in sizes
    ]
    assert slope(sizes, errors) == pytest.approx(wanted, abs=within)
