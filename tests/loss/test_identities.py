"""What the mathematics says of losses to one another, and of a divergence from its f alone."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from presets import Data, batch, call, random_batch, scores, settings_of
from torch import Tensor

from align_cli.loss.divergences import ALPHA, DIVERGENCES, log, properties
from align_cli.loss.document import document
from align_cli.loss.links import LINKS

ROOT = Path(__file__).parents[2]


def close(found: Tensor, wanted: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def scored(data: Data, margin: Any) -> Data:
    like = data["pairs"].chosen_B
    return data | {"pair_labels": scores(torch.as_tensor(margin).expand_as(like).to(like))}


def reversed_(data: Data) -> Data:
    """Every label flipped."""
    pairs, reference = data["pairs"], data["ref_pairs"]
    return batch(
        pairs.rejected_B, pairs.chosen_B, reference.rejected_B, reference.chosen_B,
        lengths=(pairs.rejected_len_B, pairs.chosen_len_B), margin=-data["pair_labels"].margin_B,
    )  # fmt: skip


def dpo(data: Data, **settings: Any) -> Tensor:
    return call("dpo", data, **settings).loss_B


@given(seed=st.integers(0, 99), flip=st.floats(0.01, 0.45))
def test_robust_dpo_is_unbiased_under_flips(seed: int, flip: float):
    data = random_batch(seed)
    right, wrong = (
        call("robust_dpo", each, flip_rate=flip).loss_B for each in (data, reversed_(data))
    )
    close((1 - flip) * right + flip * wrong, dpo(data), 1e-10)


def test_smoothing_is_the_mean_under_flips():
    data = random_batch(0)
    found = call("cdpo", data, label_smoothing=0.2).loss_B
    close(found, 0.8 * dpo(data) + 0.2 * dpo(reversed_(data)))


def test_modpo_with_one_objective_is_dpo():
    data = random_batch(1)
    close(call("modpo", data, objective_weight=1.0).loss_B, dpo(data))
    close(call("modpo", scored(data, 0.0), objective_weight=0.5).loss_B, dpo(data, beta=0.2))


def test_a_judge_that_is_certain_gives_hard_labels():
    data = scored(random_batch(2), 80.0)
    close(call("dno", data).loss_B, dpo(data))
    close(call("soft_label_dpo", data).loss_B, dpo(data))
    close(call("sppo_soft", data).loss_B, call("sppo_hard", data).loss_B)
    close(call("online_ipo", data).loss_B, call("ipo_sum", data).loss_B)
    close(call("exo_pair", data, outer="logistic", label_smoothing=None).loss_B, dpo(data))


def test_a_judge_that_cannot_tell():
    data = scored(random_batch(3), 0.0)
    close(call("soft_label_dpo", data).loss_B, torch.full_like(dpo(data), math.log(2)))
    close(call("dno", data).loss_B, call("dno", reversed_(data)).loss_B)
    close(call("margin_dpo", data).loss_B, dpo(data))
    close(call("odpo", scored(data, 1.0)).loss_B, dpo(data))


def test_rebel_reward_distillation_ipo_and_gpo_are_one_regression():
    data = scored(random_batch(4), 1.0)
    beta = 0.1
    ipo = call("ipo_sum", data, beta=beta).loss_B
    # (D - 1/(2 beta))^2: REBEL with the step 1/(2 beta); beta^2 of it distils a reward of 1/2.
    close(call("rebel", data, score_scale=1 / (2 * beta)).loss_B, ipo, 1e-10)
    distilled = call("reward_distillation", data, beta=beta, score_scale=0.5).loss_B
    close(distilled, beta**2 * ipo, 1e-10)
    close(call("gpo_squared", data, beta=beta, target_margin=0.5).loss_B, beta**2 * ipo, 1e-10)


@pytest.mark.parametrize(
    ("name", "half_curvature"),
    [("dpo", 1 / 8), ("gpo_squared", 1.0), ("gpo_exponential", 1 / 2), ("gpo_savage", 1 / 16)],
)
def test_near_the_reference_every_smooth_outer_function_is_a_parabola(
    name: str, half_curvature: float
):
    """phi(z) = phi(0) + phi'(0) z + phi''(0)/2 z^2 + ..., the limit in which GPO is IPO."""
    slopes = {"dpo": -0.5, "gpo_squared": -2.0, "gpo_exponential": -1.0, "gpo_savage": -0.25}
    z = torch.tensor([1e-4, -1e-4], dtype=torch.float64)
    zeros = torch.zeros_like(z)
    value = call(name, batch(z, zeros, zeros, zeros), beta=1.0).loss_B
    at_0 = call(name, batch(zeros, zeros, zeros, zeros), beta=1.0).loss_B
    close(value - at_0, slopes[name] * z + half_curvature * z**2, 1e-11)


def test_alpha_runs_from_reverse_to_forward_kl():
    data = random_batch(5)
    close(call("alpha_dpo", data, alpha=1e-7).loss_B, dpo(data), 1e-6)
    close(call("alpha_dpo", data, alpha=1.0).loss_B, call("forward_kl", data).loss_B)


def test_what_is_switched_off_leaves_the_simpler_loss():
    data = random_batch(6)
    for name, off in (
        ("dpop", {"fall_penalty": 0.0, "beta": 0.1}),
        ("cal_dpo", {"regulariser_weight": 0.0, "beta": 0.1}),
        ("rpo", {"regulariser_weight": 0.0}),
        ("dpo_nll", {"regulariser_weight": 0.0}),
        ("cdpo", {"label_smoothing": 0.0}),
        ("robust_dpo", {"flip_rate": 0.0}),
    ):
        close(call(name, data, **off).loss_B, dpo(data))
    simpo = call("simpo", data).loss_B
    close(call("alphapo", data, alpha=0.0, beta=2.0, target_margin=1.0).loss_B, simpo)
    close(call("cpo_simpo", data, regulariser_weight=0.0).loss_B, simpo)


def test_cal_dpo_is_dpo_and_sppo_hard():
    data = random_batch(7)
    found = call("cal_dpo", data, beta=0.1, calibration_nats=5.0).loss_B
    close(found, dpo(data, beta=0.1) + call("sppo_hard", data, beta=0.1).loss_B)


def test_aot_of_a_single_pair_is_dpo():
    data = random_batch(8, size=1)
    close(call("aot", data).loss_B, dpo(data))
    close(call("aot_unpaired", data).loss_B, dpo(data))


def test_a_reference_that_agrees_with_the_label_is_deferred_to():
    data = random_batch(9)
    reference = data["ref_pairs"]
    agrees = reference.chosen_B >= reference.rejected_B
    assert agrees.any()
    assert not agrees.all()
    floored, plain = call("hypo_floor", data).loss_B, dpo(data)
    close(floored[agrees], plain[agrees])
    assert (floored[~agrees] != plain[~agrees]).all()


MADPO = {-1.0: 0.757, 0.0: 1.0, 0.5: 1.098, 1.0: 1.089, 2.0: 1.0, 4.0: 0.932}


def test_madpo_weights_are_those_of_the_notes():
    data = random_batch(10, size=len(MADPO))
    data["pair_labels"].margin_B[:] = torch.tensor(list(MADPO))
    weights = call("madpo", data).loss_B / dpo(data)
    close(weights, torch.tensor(list(MADPO.values()), dtype=torch.float64), 6e-4)
    assert settings_of("madpo")["weight_centre"] == 2.0


@pytest.mark.parametrize("link", DIVERGENCES)
def test_a_link_is_the_derivative_of_its_divergence(link: str):
    log_ratio = torch.linspace(-3, 3, 61, dtype=torch.float64)
    ratio = torch.exp(log_ratio).requires_grad_()
    (slope,) = torch.autograd.grad(DIVERGENCES[link](ratio).sum(), ratio)
    score = LINKS[link](log_ratio, **({"alpha": ALPHA} if link == "alpha" else {}))
    constant = slope - score
    close(constant, constant.mean().expand_as(constant), 1e-10)


# From the design notes' table: argmin f (None: it falls for ever), DPO-inducing.
PROMISED = {
    "reverse_kl": (1 / math.e, True),
    "forward_kl": (math.inf, True),
    "jensen_shannon": (1.0, True),
    "alpha": (1.0, True),
    "chi_squared": (1.0, False),
    "chi_po": (0.567143, True),
    "squared": (1.0, True),
}


@pytest.mark.parametrize("link", DIVERGENCES)
def test_what_a_divergence_promises_is_computed(link: str):
    found = properties(DIVERGENCES[link])
    least, inducing = PROMISED[link]
    assert found.dpo_inducing == inducing
    assert found.argmin == pytest.approx(least, abs=1e-5)
    assert found.displacement_resistant == (least >= 1)


def test_properties_of_a_divergence_of_ones_own():
    tilted = properties(lambda t: t * log(t) + t)  # the KL's f, tilted: its loss is DPO's
    assert tilted.argmin == pytest.approx(math.exp(-2), abs=1e-6)
    assert tilted.dpo_inducing
    assert not tilted.displacement_resistant
    assert not properties(lambda t: t * t).dpo_inducing
    # Its slope still falls where it is looked at, but to 0 and no further.
    assert not properties(lambda t: t**1.01).dpo_inducing


@pytest.mark.parametrize("link", DIVERGENCES)
@given(ratio=st.floats(1e-60, 1e3))
def test_the_complex_step_is_the_derivative(link: str, ratio: float):
    point = torch.tensor(ratio, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(DIVERGENCES[link](point), point)
    step = 1e-20 * ratio
    found = DIVERGENCES[link](complex(ratio, step)).imag / step
    assert found == pytest.approx(float(slope), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("a", [0.1, 0.3, 0.9, 1.0])
def test_alpha_promises_alike_at_every_alpha(a: float):
    found = properties(lambda t: DIVERGENCES["alpha"](t, a))
    assert found.dpo_inducing
    assert found.argmin == pytest.approx(1, abs=1e-5)


def test_the_page_of_losses_is_up_to_date():
    wanted = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    assert document() == wanted, "python -m align_cli.loss.document > docs/losses.md"
