"""What the mathematics says of losses on groups to one another, and to losses on pairs."""

import math
from typing import Any

import pytest
import torch
from group_presets import at, call, group_batch, members, one_group, random_groups
from hypothesis import given, settings
from hypothesis import strategies as st
from presets import batch, random_batch, scores
from presets import call as call_pairs
from torch import Tensor

SIZES = st.lists(st.integers(2, 7), min_size=1, max_size=4)


def close(found: Tensor, wanted: Any, tolerance: float = 1e-12) -> None:
    wanted = torch.as_tensor(wanted, dtype=found.dtype).expand_as(found)
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def log_ratio_of(data: Any, group: int) -> Tensor:
    place_K = members(data, group)
    return data["groups"].logp_C[place_K] - data["ref_groups"].logp_C[place_K]


def mean_log_ratio(data: Any) -> Tensor:
    return torch.stack([log_ratio_of(data, g).mean() for g in range(data["groups"].groups)])


def advantages(data: Any) -> list[Tensor]:
    of = [data["group_labels"].score_C[members(data, g)] for g in range(data["groups"].groups)]
    return [one - one.mean() for one in of]


def opo_by_advantage(data: Any, mu: float) -> Tensor:
    return call("opo_absorbed", data, drive="advantage", alpha=None, mu=mu).loss_G


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), sizes=SIZES, mu=st.floats(0.2, 5))
def test_opo_by_advantage_is_all_pairs_distillation_and_a_mean_log_ratio_penalty(
    seed: int, sizes: list[int], mu: float
):
    data = random_groups(seed, tuple(sizes))
    size_G = torch.tensor(sizes).double()
    # (mu/4) mean over all (i, j), of which a share (size-1)/size has i != j
    distilled = call("group_rebel", data, beta=1.0, score_scale=1 / mu).loss_G
    pairs_G = mu / 4 * (size_G - 1) / size_G * distilled
    spread_G = torch.stack([(one**2).mean() for one in advantages(data)])
    wanted = pairs_G + mu / 2 * mean_log_ratio(data) ** 2 - spread_G / (2 * mu)
    close(opo_by_advantage(data, mu), wanted)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), sizes=SIZES, mu=st.floats(0.2, 5))
def test_opo_in_log_ratios_is_a_regression_on_its_target(seed: int, sizes: list[int], mu: float):
    data = random_groups(seed, tuple(sizes))
    spread_G = torch.stack([(one**2).mean() for one in advantages(data)])
    regressed = call("sppo_group", data, target="score", beta=mu).loss_G
    close(opo_by_advantage(data, mu), mu / 2 * regressed - spread_G / (2 * mu))


def pair_and_group(seed: int) -> tuple[Any, Any]:
    """The same pairs, as pairs and as groups of two; right answers score 1, wrong ones 0."""
    pairs = random_batch(seed, size=6)
    pairs["pair_labels"] = scores(torch.ones(6).double())
    log, ref = pairs["pairs"], pairs["ref_pairs"]

    def woven(chosen: Tensor, rejected: Tensor) -> Tensor:
        return torch.stack([chosen, rejected], 1).reshape(-1)

    groups = group_batch(
        woven(log.chosen_B, log.rejected_B),
        woven(ref.chosen_B, ref.rejected_B),
        woven(torch.ones(6).double(), torch.zeros(6).double()),
        sizes=(2,) * 6,
        length=woven(log.chosen_len_B, log.rejected_len_B),
    )
    return pairs, groups


@pytest.mark.parametrize("mu", [0.5, 1.0, 3.0])
def test_opo_on_a_pair_is_sppo_hard_and_ipo_with_a_penalty(mu: float):
    pairs, groups = pair_and_group(0)
    found = call("opo_absorbed", groups, mu=mu).loss_G
    # Rewards 1 and 0, alpha 0.4: weights exp(+-0.3). Of mean 1, g = tanh(0.3); the notes'
    # sinh(0.3) = 0.304520 is that times the mean weight cosh(0.3).
    g = math.tanh(0.3)
    assert g * math.cosh(0.3) == pytest.approx(0.304520, abs=1e-6)
    hard = call_pairs("sppo_hard", pairs, beta=mu / (2 * g)).loss_B
    close(found, mu / 4 * hard - g**2 / (2 * mu))
    ipo = call_pairs("ipo_sum", pairs, beta=mu / (4 * g)).loss_B
    close(found, mu / 8 * ipo + mu / 2 * mean_log_ratio(groups) ** 2 - g**2 / (2 * mu))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_group_of_two_is_a_pair(seed: int):
    pairs, groups = pair_and_group(seed)
    dpo = call_pairs("dpo", pairs).loss_B
    close(call("listwise_dpo", groups).loss_G, dpo)
    close(call("all_pairs_dpo", groups).loss_G, dpo)
    discount = 1 - 1 / math.log2(3)
    close(call("lipo", groups, beta=0.1).loss_G, discount * dpo)
    close(call("tpo_tree", groups, beta=0.1).loss_G, discount * dpo)
    hinge = call("all_pairs_dpo", groups, outer="hinge").loss_G
    close(hinge, call_pairs("hinge", pairs).loss_B)
    distilled = call_pairs("reward_distillation", pairs, beta=0.1, score_scale=1.0).loss_B
    close(call("group_distillation", groups).loss_G, distilled, 1e-10)
    close(call("group_rebel", groups).loss_G, call_pairs("rebel", pairs, beta=1.0).loss_B, 1e-10)
    close(call("sppo_group", groups).loss_G, call_pairs("sppo_soft", pairs).loss_B / 2)
    close(call("spo_win_rate", groups).loss_G, call_pairs("sppo_hard", pairs, beta=0.1).loss_B / 2)
    close(
        call("sppo_group", groups, target="score").loss_G,
        call_pairs("gpo_score", pairs).loss_B / 2,
    )
    close(call("apo_zero_unpaired", groups).loss_G, call_pairs("apo_zero", pairs).loss_B / 2)


def test_bco_unpaired_is_bco_on_pairs_about_its_threshold():
    pairs, groups = pair_and_group(2)
    log, ref = pairs["pairs"], pairs["ref_pairs"]
    delta = ((log.chosen_B - ref.chosen_B).mean() + (log.rejected_B - ref.rejected_B).mean()) / 2
    moved = batch(log.chosen_B, log.rejected_B, ref.chosen_B + delta, ref.rejected_B + delta)
    close(call("bco_unpaired", groups).loss_G, call_pairs("bco_pair", moved).loss_B / 2)


def test_bco_of_one_verdict_has_that_side_as_its_threshold():
    data = random_groups(3, (3, 2))
    for right in (True, False):
        verdicts = torch.full((5,), right)
        found = call("bco_unpaired", at(data, data["groups"].logp_C, right_C=verdicts)).loss_G
        u = torch.cat([log_ratio_of(data, 0), log_ratio_of(data, 1)])
        lead = 0.1 * (u - u.mean()) * (1 if right else -1)
        close(found, torch.stack([torch.log1p(torch.exp(-lead))[s].mean() for s in HALVES]))


HALVES = (slice(0, 3), slice(3, 5))


def test_kto_at_drift_0_is_apo_zero_and_a_negative_drift_counts_as_none():
    data = random_groups(4)
    wanted = call("apo_zero_unpaired", data).loss_G
    for drift in (0.0, -3.0):
        mismatch = torch.full((7,), drift).double()
        close(call("kto", data | {"mismatch_logratio_G": mismatch}).loss_G, wanted)
    # The batch's mean is what is floored, not each group's.
    mixed = torch.tensor([-7.0, 7.0, 0, 0, 0, 0, 0]).double()
    close(call("kto", data | {"mismatch_logratio_G": mixed}).loss_G, wanted)


def test_kto_by_hand():
    logp = torch.tensor([-3.0, -6.0, -4.0]).double()
    data = group_batch(
        logp,
        torch.tensor([-5.0, -5.0, -4.5]).double(),
        torch.tensor([1.0, 0.0, 1.0]).double(),
        sizes=(3,),
        mismatch=torch.tensor([0.4], dtype=torch.float64),
    )
    weights = {"beta": 0.5, "desirable_weight": 1.5, "undesirable_weight": 0.5}
    # leads: 0.5 (2 - 0.4) = 0.8; 0.5 (0.4 + 1) = 0.7; 0.5 (0.5 - 0.4) = 0.05
    by_hand = 1.5 / (1 + math.exp(0.8)) + 0.5 / (1 + math.exp(0.7)) + 1.5 / (1 + math.exp(0.05))
    close(call("kto", data, **weights).loss_G, by_hand / 3)


def test_without_ties_the_list_is_its_ranking():
    """The product over places of the chance to be picked next, as printed by Plackett and Luce."""
    data = random_groups(5, (5, 4))
    score_C = torch.tensor([3.0, 0.5, 2.0, 7.0, 1.0, 1.0, 2.0, 4.0, 3.0]).double()
    data = at(data, data["groups"].logp_C, score_C=score_C)
    wanted = []
    for group in (0, 1):
        reward = (0.1 * log_ratio_of(data, group)).tolist()
        of = score_C[members(data, group)].tolist()
        left = sorted(range(len(of)), key=lambda i, of=of: -of[i])
        chance = 1.0
        while left:
            chance *= math.exp(reward[left[0]]) / sum(math.exp(reward[j]) for j in left)
            left.pop(0)
        wanted.append(-math.log(chance))
    close(call("listwise_dpo", data).loss_G, wanted)


def test_with_two_grades_every_right_answer_is_picked_from_among_the_wrong():
    data = one_group(random_groups(6, (4,)), 0)
    data = at(data, data["groups"].logp_C, score_C=torch.tensor([1.0, 0.0, 1.0, 0.0]).double())
    e = torch.exp(0.1 * log_ratio_of(data, 0))
    wrong = e[1] + e[3]
    wanted = -torch.log(e[0] / (e[0] + wrong)) - torch.log(e[2] / (e[2] + wrong))
    close(call("listwise_dpo", data).loss_G, wanted)


def test_lambda_weights_by_hand():
    reward = torch.tensor([-1.0, 0.0, 1.0]).double()
    data = group_batch(
        reward, torch.zeros(3).double(), torch.tensor([2.0, 1.0, 0.0]).double(), sizes=(3,)
    )
    # Gains 4, 2, 1. The policy ranks them 3, 2, 1: discounts 1/2, 0.63093, 1.
    third = 1 / math.log2(3)
    cost = [math.log1p(math.exp(margin)) for margin in (1, 2, 1)]
    by_policy = [2 * (third - 0.5), 3 * 0.5, 1 * (1 - third)]
    found = call("lipo", data, beta=1.0).loss_G
    close(found, sum(w * c for w, c in zip(by_policy, cost, strict=True)))
    by_score = [2 * (1 - third), 3 * 0.5, 1 * (third - 0.5)]
    found = call("tpo_tree", data, beta=1.0).loss_G
    close(found, sum(w * c for w, c in zip(by_score, cost, strict=True)))


def test_where_the_policy_cannot_tell_lambda_ranks_as_the_judge_does():
    data = random_groups(7, (5, 3))
    data = at(data, data["ref_groups"].logp_C)
    close(call("lipo", data, beta=0.4).loss_G, call("tpo_tree", data).loss_G)


def test_win_rates_sum_to_half_the_group():
    data = random_groups(8)
    for name in ("sppo_group", "spo_win_rate"):
        moved = at(data, data["ref_groups"].logp_C.clone().requires_grad_())
        call(name, moved).loss_G.sum().backward()
        slope_C = moved["groups"].logp_C.grad
        assert slope_C.abs().max() > 0.1
        for group in range(7):
            assert abs(float(slope_C[members(data, group)].sum())) < 1e-12


def test_gopo_is_a_regression_on_its_target_until_the_bound_is_met():
    data = random_groups(9, (3, 6, 2))
    spread_G = torch.stack([(one**2).mean() for one in advantages(data)])
    fall_G = torch.stack([-one.min() for one in advantages(data)])
    safe, unsafe = float(fall_G.max()) + 1e-6, float(fall_G.min()) - 1e-3
    for mu in (safe, 2 * safe):
        free, bounded = (call(name, data, mu=mu).loss_G for name in ("gopo", "gopo_bounded"))
        close(free, bounded - spread_G / (2 * mu), 1e-10)
    free, bounded = (call(name, data, mu=unsafe).loss_G for name in ("gopo", "gopo_bounded"))
    assert not torch.isclose(free, bounded - spread_G / (2 * unsafe)).any()


def test_close_to_the_reference_ratios_are_log_ratios():
    """|v - Delta| <= 1/2 d^2 e^d and |v^2 - Delta^2| <= d^3 e^2d for |Delta| <= d < 1."""
    from align_cli.loss.coordinates import ratio_less_1

    for d in (0.01, 0.1, 0.5, 0.99):
        delta = torch.linspace(-d, d, 101, dtype=torch.float64)
        v = ratio_less_1(delta, None)
        assert (v - delta).abs().max() <= d**2 * math.exp(d) / 2
        assert (v**2 - delta**2).abs().max() <= d**3 * math.exp(2 * d)
