"""Labels that are not fully believed: the loss of a pair both ways round, weighed by the belief."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from align_cli.batches import PairLogps, PairLoss

SIDES = ("pairs", "ref_pairs", "start_pairs")
"""What is known of both sides of a pair and can be exchanged."""


def doubted(
    loss: Callable[..., PairLoss], offer: Mapping[str, Any], out: PairLoss, right_B: Tensor
) -> PairLoss:
    """p loss(chosen, rejected) + (1 - p) loss(rejected, chosen), p the chance of a right label.

    With DPO it is cDPO at e = 1 - p, pair by pair. `out` is the loss as the label has it; implicit
    rewards stay those.
    """
    if bool((right_B == 1).all()):
        return out
    turned = {name: None if offer[name] is None else _turned(offer[name]) for name in SIDES}
    other_B = loss(**{**offer, **turned}).loss_B
    loss_B = right_B * out.loss_B + (1 - right_B) * other_B
    return PairLoss(loss_B, out.chosen_reward_B, out.rejected_reward_B)


def _turned(pairs: PairLogps) -> PairLogps:
    return PairLogps(pairs.rejected_B, pairs.chosen_B, pairs.rejected_len_B, pairs.chosen_len_B)
