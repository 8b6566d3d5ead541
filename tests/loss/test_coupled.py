"""Losses in which pairs see one another: what they do, and that a run cannot cut their batch."""

import math

import pytest
import torch
from presets import NAMES, batch, call, couples, random_batch

from align_cli.config.compose import compose
from align_cli.errors import ConfigError

COUPLED = [name for name in NAMES if couples(name)]


def test_they_are_known():
    assert set(COUPLED) >= {"aot", "aot_unpaired", "bco_pair_shift"}


@pytest.mark.parametrize("name", COUPLED)
def test_micro_batches_that_would_cut_the_crowd_are_refused(name: str):
    with pytest.raises(ConfigError, match=rf"micro_batch_size: got 8, but under loss={name} .* 16"):
        compose([f"loss={name}", "schedule.micro_batch_size=8"])
    whole = ["schedule.batch_size=8", "schedule.micro_batch_size=8"]
    assert compose([f"loss={name}", *whole])


def test_other_losses_take_any_micro_batch():
    assert compose(["loss=dpo", "schedule.micro_batch_size=8"])


@pytest.mark.parametrize("name", COUPLED)
def test_a_log_prob_that_is_no_number_is_named_by_its_own_pair(name: str):
    data = random_batch(0, size=6)
    data["pairs"].chosen_B[2] = math.nan
    assert call(name, data).loss_B.isnan().tolist() == [place == 2 for place in range(6)]


def test_a_loss_stands_at_the_pair_whose_answer_it_is_of():
    """Of aot_unpaired: the term of the best chosen answer stands where that answer is."""
    chosen = torch.tensor([0.0, 3.0, 1.0])
    rejected = torch.tensor([0.5, -1.0, 2.0])
    zeros = torch.zeros(3)
    found = call("aot_unpaired", batch(chosen, rejected, zeros, zeros), beta=1.0).loss_B
    margins = torch.tensor([0.0 - -1.0, 3.0 - 2.0, 1.0 - 0.5])
    torch.testing.assert_close(found, -torch.nn.functional.logsigmoid(margins))


def test_the_shift_is_the_threshold_between_the_sides():
    """Rewards that all lie high teach nothing by that: only what sets the sides apart counts."""
    data = random_batch(1)
    pairs, reference = data["pairs"], data["ref_pairs"]
    raised = batch(
        pairs.chosen_B + 7, pairs.rejected_B + 7, reference.chosen_B, reference.rejected_B
    )
    plain = batch(pairs.chosen_B, pairs.rejected_B, reference.chosen_B, reference.rejected_B)
    torch.testing.assert_close(
        call("bco_pair_shift", raised).loss_B, call("bco_pair_shift", plain).loss_B
    )
    assert not torch.allclose(call("bco_pair", raised).loss_B, call("bco_pair", plain).loss_B)


def test_where_the_sides_balance_the_shift_is_0():
    data = random_batch(2)
    chosen = data["pairs"].chosen_B
    ratio = chosen - data["ref_pairs"].chosen_B
    mirrored = batch(chosen, data["ref_pairs"].rejected_B - ratio, data["ref_pairs"].chosen_B,
                     data["ref_pairs"].rejected_B)  # fmt: skip
    torch.testing.assert_close(
        call("bco_pair_shift", mirrored).loss_B, call("bco_pair", mirrored).loss_B
    )
