"""Regularisers: what is added to a preference loss to hold the policy elsewhere than by beta."""

from collections.abc import Mapping
from typing import Final, Literal

from torch import Tensor

from align_cli.batches import PairLogps
from align_cli.loss.parts import Part
from align_cli.loss.reduction import log_ratios, of_sum, over_tokens, wide

NllName = Literal["none", "nll", "nll_per_token"]
RegulariserName = Literal["none", "nll", "nll_per_token", "calibration", "value"]


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
    mean_B = over_tokens(wide(pairs.chosen_B), pairs.chosen_len_B, "regulariser=nll_per_token")
    return loss_B - regulariser_weight * mean_B


def calibration(
    loss_B: Tensor,
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    regulariser_weight: float,
    calibration_nats: float,
) -> Tensor:
    """c ((u_chosen - a)^2 + (u_rejected + a)^2): log-ratios are given a scale, not only an order.

    Source: Xiao et al. 2024, arXiv:2412.14516, whose a is 1 / (2 beta) and whose DPO has beta 1.
    """
    chosen_B, rejected_B = log_ratios(pairs, ref_pairs, of_sum)
    error_B = (chosen_B - calibration_nats) ** 2 + (rejected_B + calibration_nats) ** 2
    return loss_B + regulariser_weight * error_B


def value(
    loss_B: Tensor,
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    beta: float,
    regulariser_weight: float,
    value_sign: str,
    value_answers: str,
) -> Tensor:
    """sign c beta mean(u) over the calibrating answers: the value of the implied reward, signed.

    Of all rewards with the same differences take the one whose mean over the calibrating answers
    is 0. The best that a policy leashed by beta can then reach is -beta mean(log(policy /
    reference)). optimism (sign +) adds to what it can reach: answers that were not seen gain.
    pessimism (sign -) takes from it: the answers that were seen stay likely. The calibrating
    answers are the pair's own: chosen, rejected, or both.

    Source: Cen et al. 2024, arXiv:2405.19320 (VPO); **reconstruction**: sign and scale are derived.
    """
    chosen_B, rejected_B = log_ratios(pairs, ref_pairs, of_sum)
    mean_B = {
        "chosen": chosen_B,
        "rejected": rejected_B,
        "both": (chosen_B + rejected_B) / 2,
    }[value_answers]
    weight = beta * regulariser_weight
    return loss_B + (weight if value_sign == "optimism" else -weight) * mean_B


NLLS: Final[Mapping[str, Part]] = {"none": none, "nll": nll, "nll_per_token": nll_per_token}
REGULARISERS: Final[Mapping[str, Part]] = {**NLLS, "calibration": calibration, "value": value}
