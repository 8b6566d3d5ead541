"""Regularisers: what is added to a preference loss to hold the policy elsewhere than by beta."""

from collections.abc import Mapping
from typing import Final, Literal

from torch import Tensor

from align_cli.batches import PairLogps
from align_cli.loss.parts import Part
from align_cli.loss.reduction import log_ratios, of_sum, per_token, wide

NllName = Literal["none", "nll", "nll_per_token"]
RegulariserName = Literal["none", "nll", "nll_per_token", "calibration"]


def none(loss_B: Tensor, pairs: PairLogps, ref_pairs: PairLogps | None) -> Tensor:
    """Nothing is added."""
    return loss_B


def nll(
    loss_B: Tensor,
    pairs: PairLogps,
    ref_pairs: PairLogps | None,
    *,
    regulariser_weight: float,
) -> Tensor:
    """- c l_chosen: imitate the chosen answer, every token alike.

    Source: Liu et al. 2024, arXiv:2405.16436, whose weight is eta beta.
    """
    return loss_B - regulariser_weight * wide(pairs.chosen_B)


def nll_per_token(
    loss_B: Tensor,
    pairs: PairLogps,
    ref_pairs: PairLogps | None,
    *,
    regulariser_weight: float,
) -> Tensor:
    """- c l_chosen / n_chosen: imitate the chosen answer, every answer alike.

    Source: Pang et al. 2024, arXiv:2404.19733.
    """
    return loss_B - regulariser_weight * per_token(wide(pairs.chosen_B), pairs.chosen_len_B)


def calibration(
    loss_B: Tensor,
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    regulariser_weight: float,
    calibration_nats: float,
) -> Tensor:
    """c ((u_chosen - a)^2 + (u_rejected + a)^2): log-ratios are given a scale, not only an order.

    Source: Xiao et al. 2024, arXiv:2412.14516, whose a is 1 / (2 beta); **reconstruction**.
    """
    chosen_B, rejected_B = log_ratios(pairs, ref_pairs, of_sum)
    error_B = (chosen_B - calibration_nats) ** 2 + (rejected_B + calibration_nats) ** 2
    return loss_B + regulariser_weight * error_B


NLLS: Final[Mapping[str, Part]] = {"none": none, "nll": nll, "nll_per_token": nll_per_token}
REGULARISERS: Final[Mapping[str, Part]] = {**NLLS, "calibration": calibration}
