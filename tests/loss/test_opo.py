"""OPO's own mathematics on exact policies: closed form, contraction, fixed points, saturation."""

import math
from typing import Any

import pytest
import torch
from group_presets import call, group_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from presets import batch
from presets import call as call_pairs
from torch import Tensor

from align_cli.loss.coordinates import bounded_projection, ratio
from align_cli.loss.drive import DRIVES, min_mu
from align_cli.loss.siblings import Siblings, table_of

ARMS = 8


def tabular(policy_K: Tensor, score_K: Tensor) -> Siblings:
    """One prompt, every answer there is, each with the probability that the policy gives it."""
    log_K1 = policy_K.log().unsqueeze(0)
    groups = group_batch(policy_K, policy_K, score_K, sizes=(len(policy_K),))["groups"]
    return Siblings(
        table=table_of(groups),
        logp_GK=log_K1,
        reference_GK=log_K1,
        length_GK=torch.ones_like(log_K1),
        score_GK=score_K.unsqueeze(0),
        log_ratio_GK=torch.zeros_like(log_K1),
        share_GK=policy_K.unsqueeze(0),
    )


def drawn(seed: int) -> tuple[Tensor, Tensor]:
    """A random policy over the arms, and their scores."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(ARMS, generator=generator, dtype=torch.float64) + 0.02
    return weights / weights.sum(), torch.randn(ARMS, generator=generator, dtype=torch.float64)


def drive_of(name: str, siblings: Siblings, alpha: float = 0.4) -> Tensor:
    more: dict[str, Any] = {} if name == "advantage" else {"alpha": alpha}
    if name == "code_softmax":
        more["ratio_temperature"] = 0.5
    drive: Tensor = DRIVES[name](siblings, score_scale=1.0, **more)
    return drive


@pytest.mark.parametrize("name", DRIVES)
def test_a_drive_is_centred_under_its_own_distribution(name: str):
    siblings = tabular(*drawn(0))
    drive_GK = drive_of(name, siblings)
    assert float((siblings.share_GK * drive_GK).sum().abs()) < 1e-15
    assert drive_GK.abs().max() > 0.05


def test_the_escort_weight_is_the_papers_over_its_mean():
    policy_K, score_K = drawn(1)
    omega_K = policy_K ** (0.4 - 1) * torch.softmax(score_K, 0) ** (1 - 0.4)
    wanted = omega_K / (policy_K * omega_K).sum() - 1
    found = drive_of("escort", tabular(policy_K, score_K))[0]
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.9])
def test_descent_in_ratios_contracts_by_1_less_eta_mu_whatever_alpha_is(alpha: float):
    policy_K, score_K = drawn(2)
    siblings = tabular(policy_K, score_K)
    share_GK, mu, eta = siblings.share_GK, 1.0, 0.3
    # Small scores keep every ratio above 0 on the way.
    drive_GK = 0.2 * drive_of("escort", siblings, alpha)
    target_GK = drive_GK / mu
    v_GK = torch.zeros_like(drive_GK)
    for _ in range(10):
        v_GK = v_GK.detach().requires_grad_()
        loss = ratio(torch.log1p(v_GK), drive_GK, share_GK, mu=mu).sum()
        (slope,) = torch.autograd.grad(loss, v_GK)
        v_GK = v_GK - eta * slope / share_GK  # the gradient of L2(reference)
    left = (v_GK - target_GK) / -target_GK
    torch.testing.assert_close(left, torch.full_like(left, 0.0282475249), rtol=1e-9, atol=0)
    # The closed form g / mu is where it leads: no slope is left there.
    at_target = target_GK.detach().requires_grad_()
    loss = ratio(torch.log1p(at_target), drive_GK, share_GK, mu=mu).sum()
    (slope,) = torch.autograd.grad(loss, at_target)
    assert slope.abs().max() < 1e-15


def repeated(name: str, mu: float, rounds: int = 300) -> Tensor:
    """The policy after exact rounds, each the bounded target of the last, from the uniform one."""
    policy_K, (_, score_K) = torch.full((ARMS,), 1 / ARMS, dtype=torch.float64), drawn(3)
    for _ in range(rounds):
        siblings = tabular(policy_K.clamp(min=1e-300), score_K)
        drive_GK = drive_of(name, siblings)
        policy_K = policy_K * (1 + bounded_projection(drive_GK, siblings.share_GK, mu)[0])
    return policy_K


def test_the_two_forms_have_different_fixed_points():
    _, score_K = drawn(3)
    target_K = torch.softmax(score_K, 0)
    for mu in (1.0, 2.0):
        assert float((repeated("escort", mu) - target_K).abs().sum()) < 1e-12
    assert float(repeated("absorbed", 2.0)[score_K.argmax()]) == pytest.approx(1.0, abs=1e-8)


def test_too_soft_a_step_kills_answers_for_good():
    _, score_K = drawn(3)
    policy_K = repeated("escort", 0.3, 50)
    assert (policy_K == 0).any()
    assert float((policy_K - torch.softmax(score_K, 0)).abs().sum()) / 2 > 0.2


def test_min_mu_is_where_a_target_meets_0():
    for seed in range(5):
        siblings = tabular(*drawn(seed))
        for name in DRIVES:
            drive_GK = drive_of(name, siblings)
            [least] = min_mu(drive_GK, siblings.share_GK).tolist()
            assert float((1 + drive_GK / least).min()) == pytest.approx(0, abs=1e-15)
            assert float((1 + drive_GK / (0.99 * least)).min()) < 0
            assert name == "advantage" or least <= 1


def test_the_papers_own_mu_is_not_safe_for_weights_without_a_normalisation():
    """The notes' instance: default_rng(0), a Dirichlet policy, normal rewards; 1.423 > mu = 1."""
    numpy = pytest.importorskip("numpy")
    generator = numpy.random.default_rng(0)
    policy_K = torch.tensor(generator.dirichlet(numpy.ones(ARMS)))
    score_K = torch.tensor(generator.normal(size=ARMS))
    omega_K = (torch.exp(score_K - (policy_K * score_K).sum()) / policy_K) ** (1 - 0.4)
    drive_GK = (omega_K - (policy_K * omega_K).sum()).unsqueeze(0)
    assert float(min_mu(drive_GK, policy_K.unsqueeze(0))) == pytest.approx(1.423, abs=5e-4)
    ours = drive_of("escort", tabular(policy_K, score_K))
    assert float(min_mu(ours, policy_K.unsqueeze(0))) == pytest.approx(0.461, abs=5e-4)


def test_min_mu_looks_past_padding():
    drive_GK = torch.tensor([[0.5, -0.5, 0.0], [-0.2, -0.1, 0.3]])
    share_GK = torch.tensor([[0.5, 0.5, 0.0], [1 / 3] * 3])
    assert min_mu(drive_GK, share_GK).tolist() == pytest.approx([0.5, 0.2])


@settings(max_examples=50, deadline=None)
@given(
    drive=st.lists(st.floats(-5, 5), min_size=2, max_size=7),
    weights=st.lists(st.floats(0.01, 1), min_size=7, max_size=7),
    mu=st.floats(0.05, 5),
)
def test_the_bounded_projection_is_a_policy_and_the_nearest(
    drive: list[float], weights: list[float], mu: float
):
    g_GK = torch.tensor([drive], dtype=torch.float64)
    share_GK = torch.tensor([weights[: len(drive)]], dtype=torch.float64)
    share_GK = share_GK / share_GK.sum()
    g_GK = g_GK - (share_GK * g_GK).sum()
    v_GK = bounded_projection(g_GK, share_GK, mu)
    assert float(v_GK.min()) >= -1
    assert float((share_GK * v_GK).sum()) == pytest.approx(0, abs=1e-12)
    # Nearest: g - mu v is one number where v > -1, and no larger where it is cut (KKT).
    left = g_GK - mu * v_GK
    free = v_GK > -1 + 1e-12
    assert float(left[free].max() - left[free].min()) < 1e-10
    assert not (~free).any() or float(left[~free].max()) <= float(left[free].max()) + 1e-10


# Binary toy of the notes, target v* = 2 (unreachable), mu = 1, reference 1/2:
# p: SFT and DPO dL/dz, OPO dL/dv, OPO dL/dz, log-surrogate dL/dDelta, log-surrogate dL/dz.
SATURATION = {
    0.5: (5.0e-1, -2.000, -1.0e0, -2.000, -1.0e0),
    0.9: (1.0e-1, -1.200, -2.2e-1, -1.412, -1.4e-1),
    0.99: (1.0e-2, -1.020, -2.0e-2, -1.317, -1.3e-2),
    0.999: (1.0e-3, -1.002, -2.0e-3, -1.308, -1.3e-3),
    0.99999: (1.0e-5, -1.000, -2.0e-5, -1.307, -1.3e-5),
}


def slopes(coordinate: str, p: float) -> tuple[float, float]:
    """Slope of the driven sibling's own term in log-ratio and in logit, advantages 2, -1, -1."""
    logit = torch.tensor(math.log(p / (1 - p)), dtype=torch.float64, requires_grad=True)
    half = torch.full((3,), math.log(0.5), dtype=torch.float64)
    logp = torch.nn.functional.logsigmoid(logit)
    log_ratio = logp - half[0]
    log_ratio.retain_grad()
    others = half[1:]
    data = group_batch(
        torch.stack([log_ratio + half[0], *others]),
        half,
        torch.tensor([2.0, -1.0, -1.0]).double(),
        sizes=(3,),
    )
    clip = None if coordinate == "log_ratio" else 20.0
    loss = call("gopo", data, coordinate=coordinate, mu=1.0, exponent_clip=clip).loss_G
    (3 * loss).sum().backward()  # the loss is a mean over three
    assert log_ratio.grad is not None
    assert logit.grad is not None
    return float(log_ratio.grad), float(logit.grad)


@pytest.mark.parametrize("p", SATURATION)
def test_the_saturation_table_of_the_notes_column_by_column(p: float):
    falling, in_v, in_z, in_log_ratio, surrogate_in_z = SATURATION[p]
    for name, beta in (("sft", {}), ("dpo", {"beta": 1.0})):
        logit = torch.tensor([math.log(p / (1 - p))], dtype=torch.float64, requires_grad=True)
        sides = [torch.nn.functional.logsigmoid(sign * logit) for sign in (1, -1)]
        half = torch.full((1,), math.log(0.5), dtype=torch.float64)
        one_token = batch(*sides, half, half, lengths=(1, 1))
        call_pairs(name, one_token, **beta).loss_B.sum().backward()
        assert logit.grad is not None
        assert -float(logit.grad) == pytest.approx(falling, rel=1e-6)
    by_log_ratio, by_logit = slopes("ratio", p)
    assert by_log_ratio / (2 * p) == pytest.approx(in_v, abs=5e-4)  # dv = rho dDelta
    assert by_logit == pytest.approx(in_z, rel=0.03)
    by_log_ratio, by_logit = slopes("log_ratio", p)
    assert by_log_ratio == pytest.approx(in_log_ratio, abs=6e-4)
    assert by_logit == pytest.approx(surrogate_in_z, rel=0.03)


@pytest.mark.parametrize(("margin", "slope"), [(2, 0.119), (5, 6.7e-3), (10, 4.5e-5), (20, 2.1e-9)])
def test_dpos_slope_fades_with_the_margin(margin: float, slope: float):
    chosen = torch.tensor([float(margin)], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(1, dtype=torch.float64)
    call_pairs("dpo", batch(chosen, zero, zero, zero), beta=1.0).loss_B.sum().backward()
    assert chosen.grad is not None
    assert -float(chosen.grad) == pytest.approx(slope, rel=0.02)


def test_a_ratio_beyond_the_clip_is_still_pulled_back():
    logp = torch.tensor([25.0, -1.0], dtype=torch.float64, requires_grad=True)
    data = group_batch(
        logp, torch.tensor([0.0, -1.0]).double(), torch.tensor([1.0, 0.0]).double(), sizes=(2,)
    )
    call("gopo", data).loss_G.sum().backward()
    assert logp.grad is not None
    assert float(logp.grad[0]) > 1e6
