"""Each study once, small: what it claims follows from what its cells found."""

from typing import Any

import pytest
from scipy.integrate import quad
from scipy.stats import beta

from align_cli.errors import ConfigError
from align_cli.lab.experiment import Experiment, Measurement, computed, only, values
from align_cli.lab.false_winners import mixture, predicted_by_n
from align_cli.lab.reading import Reading
from align_cli.lab.studies.distillation_noiseless import distillation_noiseless
from align_cli.lab.studies.false_winners import false_winners
from align_cli.lab.studies.kl_prediction import kl_prediction
from align_cli.lab.studies.opo_dynamics import opo_dynamics
from align_cli.lab.studies.sampler_rates import sampler_rates
from align_cli.lab.studies.samples_to_target import samples_to_target
from align_cli.lab.studies.two_rounds import two_rounds
from align_cli.noise.false_winners import Difficulty, chosen_wrong_share, pair_chance
from align_cli.study.exact.lines import lines

OPO: dict[str, Any] = {
    "arms": 6, "seeds": 2, "alpha": (0.4, 0.9), "mu": 1.0, "eta": 0.3, "steps": 10, "rounds": 60,
    "chances": (0.5, 0.99), "target": 2.0,
}  # fmt: skip


def read(experiment: Experiment) -> Reading:
    """The reading, its figures drawn once."""
    found = experiment.read(computed(experiment))
    assert all(lines(figure).startswith("<svg") for figure in found.figures)
    assert len(found.shows) > 100
    assert "reconstruction" in found.limits.lower() or "derived" in found.limits
    return found


def verdicts(found: Reading) -> list[str]:
    return [claim.verdict for claim in found.claims]


def test_samples_to_target_states_totals_and_slopes() -> None:
    found = read(
        samples_to_target(
            rare_mass=(1e-1, 1e-3), target_kl=0.2, seeds=5, most=10**8, on_policy_rounds=3,
            hybrid_rounds=2,
        )
    )  # fmt: skip
    offline, online, hybrid = (claim.figures for claim in found.claims)
    assert -1.6 < offline["slope"] < -0.9
    assert offline["slope"] < online["slope"] < -0.03
    assert abs(hybrid["slope"]) < 0.4
    assert [row[0] for row in found.tables[0].rows] == ["0.1", "0.001"]


def test_two_rounds_suffice_the_hybrid_and_fillers_ruin_the_others() -> None:
    settings: dict[str, Any] = {
        "rare_mass": (1e-4,), "pairs": 3000, "fillers": 500, "filled_rare_mass": 1e-3,
        "filled_pairs": 2000, "seeds": 5,
    }  # fmt: skip
    found = read(two_rounds(**settings, factor=2.0))
    assert verdicts(found) == ["holds", "holds"]
    [_, offline, _, online, *_] = [value for value in found.tables[0].rows[0][1:]]
    assert min(float(offline or 0), float(online or 0)) > 1
    with pytest.raises(ConfigError, match="3 pairs for 5 features"):
        two_rounds(**{**settings, "filled_pairs": 3}, factor=2.0)


def test_a_mean_far_from_the_prediction_is_said_to_be() -> None:
    settings: dict[str, Any] = {"rare_mass": 0.1, "on_policy_pairs": 20_000, "seeds": 60}
    study = kl_prediction(**settings, offline_pairs=50_000, within=0.3)
    assert verdicts(read(study)) == ["holds", "holds"]
    results = dict(computed(study))
    results["on_policy, 20000 pairs"] = [
        Measurement(quantity=m.quantity, at=m.at, seed=m.seed,
                    value=m.value * (2 if m.quantity == "predicted" else 1))
        for m in results["on_policy, 20000 pairs"]
    ]  # fmt: skip
    assert verdicts(study.read(results)) == ["does not hold", "holds"]


def test_distillation_is_exact_in_a_linear_class_and_faster_in_a_tabular_one() -> None:
    found = read(
        distillation_noiseless(
            rare_mass=1e-1, recovery_pairs=(5, 200), recovery_seeds=20, arms=300,
            deviation_pairs=(600, 1200, 2400), deviation_seeds=2, noise=1.0,
        )
    )  # fmt: skip
    best, reference, faster = found.claims
    assert best.figures["200"] == 1
    assert float(reference.figures["5"] or 0) < 0.5
    assert faster.verdict == "holds"


def test_rates_are_read_off_the_errors() -> None:
    study = sampler_rates(arms=20, steps=4, beta=1.0, instance_seed=0)
    assert verdicts(read(study)) == ["holds"] * 3
    results = dict(computed(study))
    results["uniform"] = results["dpo_mix_r"]
    assert verdicts(study.read(results))[0] == "does not hold"


def test_opo_moves_as_its_formulas_say() -> None:
    found = read(opo_dynamics(**OPO))
    assert verdicts(found) == ["holds", "holds", "measured", "holds", "measured", "measured"]
    escort, absorbed = found.claims[-2:]
    assert float(escort.figures["distance"] or 0) < 1e-3
    assert float(absorbed.figures["best"] or 0) > 0.99
    half, sure = found.tables[0].rows
    assert half[1:] == pytest.approx((-0.5, -2.0, -1.0, -2.0, -1.0))
    assert sure[1:] == pytest.approx((-1e-2, -1.02, -2.02e-2, -1.317, -1.317e-2), rel=1e-3)


def test_opo_below_its_bound_is_refused_with_the_bound() -> None:
    with pytest.raises(ConfigError, match=r"mu is 0.1, and below 0\.\d+ .* take mu >= 0\.\d+"):
        computed(opo_dynamics(**{**OPO, "mu": 0.1}))
    with pytest.raises(ConfigError, match="take eta < 2"):
        opo_dynamics(**{**OPO, "eta": 2.5})


def test_false_winners_grow_with_n_as_drawn_ones_do() -> None:
    found = read(
        false_winners(
            n=(2, 8, 32), right=(0.03, 0.5), false_positive=0.1, beta_a=0.5, beta_b=0.5,
            prompts=3000, seeds=4,
        )
    )  # fmt: skip
    assert verdicts(found) == ["predicted", "holds", "holds", "holds"]
    shares = [float(value or 0) for value in found.claims[0].figures.values()]
    assert shares == sorted(shares)
    parts = [Difficulty(right=p, false_positive=0.1) for p in (0.03, 0.5)]
    assert shares[0] == pytest.approx(chosen_wrong_share(parts, 2))


@pytest.mark.parametrize("n", [2, 8, 32])
def test_the_mixture_of_difficulties_is_the_integral(n: int) -> None:
    def over(p: float, wrong: bool) -> float:
        part = Difficulty(right=p, false_positive=0.05)
        false = (1 - p) * 0.05 / (p + (1 - p) * 0.05)
        return float(beta(0.7, 1.3).pdf(p)) * pair_chance(part, n) * (false if wrong else 1.0)

    wanted = quad(over, 0, 1, (True,))[0] / quad(over, 0, 1, (False,))[0]
    assert chosen_wrong_share(mixture(a=0.7, b=1.3, false_positive=0.05), n) == pytest.approx(
        wanted, rel=1e-4
    )
    rows = predicted_by_n(n=[n], right=[0.5], false_positive=0.05, beta_a=0.5, beta_b=0.5)
    # The notes' numbers, of a coarser integral.
    near = {2: 0.130, 8: 0.150, 32: 0.188}[n]
    assert only(rows, "beta") == pytest.approx(near, abs=0.003)
    assert len(values(rows, "false 0.5")) == 1
