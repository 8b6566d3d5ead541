"""Weights: how much a pair counts; they carry no gradient."""

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from align_cli.batches import PairLogps
from align_cli.loss.parts import Part
from align_cli.loss.reduction import over_tokens, wide

WeightName = Literal["none", "policy_probability"]


def none(loss_B: Tensor, pairs: PairLogps) -> Tensor:
    """1: every pair counts the same."""
    return loss_B


def policy_probability(loss_B: Tensor, pairs: PairLogps) -> Tensor:
    """exp(l_w/n_w + l_l/n_l): a pair counts as much as the policy would write it. WPO.

    Source: Zhou et al. 2024, arXiv:2406.11827, eq. 2, without its alignment of the weights, which
    needs the policy's whole distribution at every token.
    """
    part = "weight=policy_probability"
    chosen_B = over_tokens(wide(pairs.chosen_B.detach()), pairs.chosen_len_B, part)
    rejected_B = over_tokens(wide(pairs.rejected_B.detach()), pairs.rejected_len_B, part)
    # A probability is at most 1, so the clamp only guards what is no log-prob.
    return loss_B * torch.exp((chosen_B + rejected_B).clamp(max=0))


WEIGHTS: Final[Mapping[str, Part]] = {
    "none": none,
    "policy_probability": policy_probability,
}
