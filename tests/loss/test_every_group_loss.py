"""What every loss on groups promises, from its yaml alone: a loss is tested here by existing."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from group_presets import (
    GROUP_NAMES,
    SIZES,
    UNPAIRED,
    at,
    call,
    couples_groups,
    group_batch,
    members,
    one_group,
    random_groups,
    taken,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from presets import CONF, formula_of

from align_cli.errors import RowError


@pytest.fixture(params=GROUP_NAMES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_there_are_losses_on_groups():
    assert {"opo", "kto", "listwise_dpo", "group_distillation"} <= set(GROUP_NAMES)
    assert len(GROUP_NAMES) >= 15


def gradient(name: str, data: Any, **overrides: Any) -> torch.Tensor:
    logp_C = data["groups"].logp_C.detach().clone().requires_grad_()
    call(name, at(data, logp_C), **overrides).loss_G.sum().backward()
    assert logp_C.grad is not None
    return logp_C.grad


@settings(max_examples=12)
@given(seed=st.integers(0, 9), sizes=st.lists(st.integers(2, 7), min_size=2, max_size=4))
def test_groups_do_not_see_each_other(name: str, seed: int, sizes: list[int]):
    if couples_groups(name):
        return
    data = random_groups(seed, tuple(sizes))
    together = call(name, data)
    alone = [call(name, one_group(data, group)) for group in range(len(sizes))]
    assert together.loss_G.shape == (len(sizes),)
    assert together.reward_C.shape == (sum(sizes),)
    torch.testing.assert_close(together.loss_G, torch.cat([one.loss_G for one in alone]))
    torch.testing.assert_close(together.reward_C, torch.cat([one.reward_C for one in alone]))


def test_a_loss_that_couples_groups_says_so_truly(name: str):
    data = random_groups(1)
    alone = torch.cat([call(name, one_group(data, group)).loss_G for group in range(len(SIZES))])
    coupled = not torch.allclose(call(name, data).loss_G, alone, rtol=1e-9)
    assert coupled == couples_groups(name)


def test_nor_do_their_gradients(name: str):
    if couples_groups(name):
        return
    data = random_groups(2)
    logp_C = data["groups"].logp_C.clone().requires_grad_()
    call(name, at(data, logp_C)).loss_G[3].backward()
    assert logp_C.grad is not None
    elsewhere = data["groups"].group_C != 3
    assert (logp_C.grad[elsewhere] == 0).all()
    assert (logp_C.grad[~elsewhere] != 0).any()


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_siblings_means_nothing(name: str, seed: int):
    data = random_groups(seed)
    generator = torch.Generator().manual_seed(seed)
    order_C = torch.cat(
        [
            places[torch.randperm(len(places), generator=generator)]
            for places in (members(data, group) for group in range(len(SIZES)))
        ]
    )
    shuffled = taken(data, order_C, list(range(len(SIZES))))
    torch.testing.assert_close(call(name, shuffled).loss_G, call(name, data).loss_G)
    torch.testing.assert_close(call(name, shuffled).reward_C, call(name, data).reward_C[order_C])
    torch.testing.assert_close(gradient(name, shuffled), gradient(name, data)[order_C])


def at_the_reference(scores: list[float]) -> Any:
    logp = torch.full((len(scores),), -9.0, dtype=torch.float64)
    score = torch.tensor(scores, dtype=torch.float64)
    mismatch = torch.zeros(1, dtype=torch.float64)
    return group_batch(logp, logp.clone(), score, sizes=(len(scores),), mismatch=mismatch)


@pytest.mark.parametrize("scores", [[1.0, 0.0], [0.0, 2.0, 2.0], [3.0, 0.0, 2.5, 0.5]], ids=str)
def test_at_the_reference_the_best_rise_and_the_worst_fall(name: str, scores: list[float]):
    slopes = gradient(name, at_the_reference(scores))
    for score, slope in zip(scores, slopes.tolist(), strict=True):
        if score == max(scores):
            assert slope < 0
        if score == min(scores):
            assert slope > 0


LOG_2 = math.log(2)
DISCOUNT = 1 - 1 / math.log2(3)
# Of two siblings, policy = reference, scores 1 and 0; pro's depends on the log-probs.
AT_START = {
    "opo": 0.0,
    "opo_ratio": 0.0,
    "opo_absorbed": 0.0,
    "opo_code": 0.0,
    "gopo": 0.0,
    "gopo_bounded": 0.25 * 1.0**2,
    "group_distillation": 1.0,
    "group_rebel": 1.0,
    "sppo_group": (10 * (1 / (1 + math.exp(-1)) - 0.5)) ** 2,
    "spo_win_rate": 25.0,
    "kto": 0.5,
    "bco_unpaired": LOG_2,
    "apo_zero_unpaired": 0.5,
    "listwise_dpo": LOG_2,
    "all_pairs_dpo": LOG_2,
    "lipo": DISCOUNT * LOG_2,
    "tpo_tree": DISCOUNT * LOG_2,
    "pro": LOG_2 + 0.05 * 9 / 20,
}


def test_the_value_at_the_reference_is_known(name: str):
    loss = call(name, at_the_reference([1.0, 0.0])).loss_G
    assert loss.tolist() == pytest.approx([AT_START[name]], abs=1e-14)


def test_gradient_is_that_of_the_loss(name: str):
    if "detach" in formula_of(name):
        return  # by design not the gradient of the whole value
    data = random_groups(3, (2, 5, 3))
    logp_C = data["groups"].logp_C.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda logp: call(name, at(data, logp)).loss_G, (logp_C,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_extreme_log_ratios_stay_finite(name: str, dtype: torch.dtype):
    extremes = torch.tensor([-1e4, -100.0, 0.0, 1e4], dtype=dtype)
    logp_C = torch.cartesian_prod(*[extremes] * 3).reshape(-1).clone().requires_grad_()
    score_C = torch.tensor([1.0, 0.0, 0.5], dtype=dtype).repeat(64)
    drift_G = torch.full((64,), 1e4, dtype=dtype)
    data = group_batch(logp_C, torch.zeros_like(logp_C), score_C, sizes=(3,) * 64, mismatch=drift_G)
    for drift in (drift_G, -drift_G):
        out = call(name, data | {"mismatch_logratio_G": drift})
        out.loss_G.sum().backward()
        assert out.loss_G.dtype == torch.float32
        assert torch.isfinite(out.loss_G).all()
        assert torch.isfinite(out.reward_C).all()
        assert logp_C.grad is not None
        assert torch.isfinite(logp_C.grad).all()


def test_an_extreme_reference_stays_finite(name: str):
    reference = torch.tensor([-1e4, -3.0, -2e3, -5e3])
    score = torch.tensor([1.0, 0.0, 0.5, 0.0])
    data = group_batch(reference - 1, reference, score, sizes=(4,), length=1)
    assert torch.isfinite(call(name, data).loss_G).all()
    assert torch.isfinite(gradient(name, data)).all()


def test_rewards_and_reference_carry_no_gradient(name: str):
    data = random_groups(4)
    policy = data["groups"].logp_C.clone().requires_grad_()
    reference = data["ref_groups"].logp_C.clone().requires_grad_()
    score = data["group_labels"].score_C.clone().requires_grad_()
    mismatch = data["mismatch_logratio_G"].clone().requires_grad_()
    data = at(data, policy, score_C=score) | {
        "ref_groups": replace(data["ref_groups"], logp_C=reference),
        "mismatch_logratio_G": mismatch,
    }
    out = call(name, data)
    assert not out.reward_C.requires_grad
    out.loss_G.sum().backward()
    assert policy.grad is not None
    assert (policy.grad != 0).any()
    assert reference.grad is None
    assert score.grad is None
    assert mismatch.grad is None


SILENT_ON_TIES = {
    "opo_absorbed", "gopo", "gopo_bounded", "listwise_dpo", "all_pairs_dpo", "lipo", "tpo_tree",
    "group_distillation", "group_rebel", "sppo_group", "spo_win_rate", "opo", "opo_ratio",
    "opo_code",
}  # fmt: skip


def test_a_tied_group_pushes_nothing_at_the_reference(name: str):
    slopes = gradient(name, at_the_reference([1.0, 1.0, 1.0]))
    assert torch.isfinite(slopes).all()
    if name in SILENT_ON_TIES:
        assert slopes.abs().max() < 1e-15
    else:
        assert (slopes < 0).all()  # all right, or all best


@pytest.mark.parametrize("name", ["listwise_dpo", "all_pairs_dpo", "lipo", "tpo_tree"])
def test_a_tied_group_has_no_loss_on_ordered_pairs(name: str):
    data = random_groups(5, (4, 3))
    score_C = data["group_labels"].score_C.clone()
    score_C[:4] = 2.0
    data = at(data, data["groups"].logp_C, score_C=score_C)
    assert call(name, data).loss_G[0] == 0
    assert (gradient(name, data)[:4] == 0).all()


def test_a_nan_log_prob_is_not_hidden(name: str):
    data = random_groups(6)
    logp_C = data["groups"].logp_C.clone()
    logp_C[members(data, 1)[2]] = math.nan
    loss_G = call(name, at(data, logp_C)).loss_G
    assert loss_G[1].isnan()
    if not couples_groups(name):
        assert loss_G.isnan().sum() == 1


def test_a_lone_completion_is_refused_where_siblings_are_compared(name: str):
    data = random_groups(7, (3, 1, 2))
    if name in UNPAIRED:
        assert torch.isfinite(call(name, data).loss_G).all()
        return
    with pytest.raises(RowError, match=r"groups \[1\] .* fewer than two .* pairing=siblings"):
        call(name, data)


@pytest.mark.parametrize("name", ["opo", "opo_ratio", "opo_code", "pro"])
def test_an_empty_completion_is_named(name: str):
    data = random_groups(8, (3, 2))
    data["groups"].len_C[4] = 0
    with pytest.raises(RowError, match=r"\[\(1, 1\)\] .* empty completion"):
        call(name, data)


def test_a_judge_that_only_grades(name: str):
    data = random_groups(9)
    data = at(data, data["groups"].logp_C, right_C=None)
    if name in UNPAIRED:
        with pytest.raises(RowError, match=f"loss={name} asks which answers are right.* grades"):
            call(name, data)
    else:
        assert torch.isfinite(call(name, data).loss_G).all()


def test_the_yaml_chooses_its_pairing(name: str):
    text = (CONF / f"{name}.yaml").read_text()
    pairing = "all_siblings" if name in UNPAIRED else "siblings"
    assert f"\ndefaults:\n  - override /pairing@_global_.pairing: {pairing}\n_target_:" in text
