"""What flows on the device.

Shapes: B pairs, T tokens (right-padded), V vocabulary. A `_BT` suffix is a [B, T] tensor.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class PairLogps:
    """Log-probs of both sides of each pair under one policy, summed over completion tokens."""

    chosen_B: Tensor
    """[nats]"""
    rejected_B: Tensor
    """[nats]"""
    chosen_len_B: Tensor
    """[tokens], int64, at least 1."""
    rejected_len_B: Tensor
    """[tokens], int64, at least 1."""


@dataclass(frozen=True, slots=True)
class PairLabels:
    """What the judge said of each pair."""

    margin_B: Tensor
    """score(chosen) - score(rejected) [score units]."""


@dataclass(frozen=True, slots=True)
class PairLoss:
    """A preference loss per pair, unreduced: the trainer takes the mean."""

    loss_B: Tensor
    chosen_reward_B: Tensor
    """Implicit reward of the chosen side, detached; for metrics only."""
    rejected_reward_B: Tensor
