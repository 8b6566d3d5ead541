"""A loss is called once before a run begins: what only a call can show is refused there."""

import pytest
import torch
from toy_group_loss import squares

from align_cli.batches import GroupLoss, PairLoss
from align_cli.errors import ConfigError
from align_cli.loop.context import Part
from align_cli.loop.probe import probe_loss


def part(call, unit):
    return Part(call, "mine.loss", frozenset(), {"beta": 2}, {}, unit)


def of_groups(change):
    def loss(groups, ref_groups, group_labels, mismatch_logratio_G):
        assert mismatch_logratio_G.shape == (groups.groups,)
        good = squares(groups, ref_groups, group_labels, scale=1.0)
        return change(good, groups)

    return part(loss, "groups")


def test_a_good_loss_passes():
    probe_loss(of_groups(lambda good, groups: good))
    probe_loss(part(lambda pairs, **_: PairLoss(*[pairs.chosen_B] * 3), "pairs"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda good, groups: PairLoss(*[good.loss_G] * 3),
            "must return a GroupLoss, got PairLoss",
        ),
        (
            lambda good, groups: GroupLoss(good.reward_C, good.reward_C),
            r"one value per group.*\(5,\)",
        ),
        (lambda good, groups: GroupLoss(good.loss_G, good.loss_G), r"per completion.*\(2,\)"),
        (
            lambda good, groups: GroupLoss(good.loss_G / 0, good.reward_C),
            "policy and reference agree",
        ),
    ],
)
def test_a_loss_on_groups_that_is_none_is_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        probe_loss(of_groups(change))


def test_a_loss_on_pairs_says_pairs():
    with pytest.raises(ConfigError, match=r"one value per pair, got the shape \(\) for 2 pairs"):
        probe_loss(part(lambda pairs, **_: PairLoss(*[pairs.chosen_B.sum()] * 3), "pairs"))
    broken = torch.tensor([1.0, torch.inf])
    with pytest.raises(ConfigError, match="beta"):
        probe_loss(part(lambda **_: PairLoss(broken, broken, broken), "pairs"))
