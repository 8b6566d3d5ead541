"""Losses between two choices: which known ones they are, and that they are divergences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from presets import batch, call, random_batch, scores

from align_cli.loss.choice import DIVERGENCES


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def settings(divergence: str) -> dict[str, object]:
    return {"divergence": divergence, "alpha": 0.3 if divergence == "alpha" else None}


def test_forward_is_conservative_dpo_less_the_labels_entropy():
    data, e = random_batch(0), 0.1
    found = call("f_po", data, label_smoothing=e, **settings("forward_kl")).loss_B
    entropy = -e * math.log(e) - (1 - e) * math.log(1 - e)
    close(found, call("cdpo", data, label_smoothing=e).loss_B - entropy)


def test_reverse_is_exo():
    data = random_batch(1)
    found = call("f_po", data, **settings("reverse_kl")).loss_B
    close(found, call("exo_pair", data).loss_B)


def test_alpha_runs_from_forward_to_reverse():
    data = random_batch(2)
    for a, end in ((1 - 1e-6, "forward_kl"), (1e-6, "reverse_kl")):
        found = call("f_po", data, divergence="alpha", alpha=a, label_smoothing=0.1).loss_B
        wanted = call("f_po", data, label_smoothing=0.1, **settings(end)).loss_B
        close(found, wanted, 1e-4)


def test_two_are_put_together_from_the_others():
    data = random_batch(4)
    found = {name: call("f_po", data, **settings(name)).loss_B for name in DIVERGENCES}
    close(found["jeffreys"], found["forward_kl"] + found["reverse_kl"])
    half = call("f_po", data, divergence="alpha", alpha=0.5).loss_B
    close(2 * found["squared_hellinger"], half)


def test_scores_that_say_what_a_label_says_give_its_loss():
    data, e = random_batch(3), 0.05
    log_odds = torch.full_like(data["pairs"].chosen_B, math.log((1 - e) / e))
    told = data | {"pair_labels": scores(log_odds)}
    found = call("exo_reward", told).loss_B
    close(found, call("exo_pair", data, label_smoothing=e).loss_B)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@given(margin=st.floats(-8, 8), score=st.floats(-4, 4))
def test_it_is_0_where_the_policy_chooses_as_the_scores_do_and_more_elsewhere(
    divergence: str, margin: float, score: float
):
    ends = torch.tensor([margin, score], dtype=torch.float64)
    zeros = torch.zeros_like(ends)
    data = batch(ends, zeros, zeros, zeros, margin=torch.full_like(ends, score))
    away, there = call("exo_reward", data, beta=1.0, **settings(divergence)).loss_B.tolist()
    assert there == pytest.approx(0, abs=1e-12)
    assert away >= -1e-12
    if abs(margin - score) > 0.1:
        assert away > 0


def test_the_bounded_one_gives_hopeless_pairs_up():
    worst = torch.tensor([-1e4], dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    data = batch(worst, zero, zero, zero)
    found = call("f_po_jensen_shannon", data).loss_B
    assert float(found) == pytest.approx(math.log(2), abs=0.01)
    assert float(call("f_po", data, **settings("forward_kl")).loss_B) > 900
