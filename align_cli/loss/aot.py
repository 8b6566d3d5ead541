"""Alignment by optimal transport: the chosen answers as a crowd against the rejected ones."""

from typing import Annotated, Literal

import torch
from torch.nn.functional import logsigmoid

from align_cli.batches import PairLogps, PairLoss
from align_cli.loss.reduction import log_probs, log_ratios, of_sum
from align_cli.loss.settings import Beta

COUPLES_PAIRS = True
"""A pair's loss depends on the others that are computed with it; a run holds
schedule.micro_batch_size to schedule.batch_size for such a loss."""


def aot(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    beta: Beta,
    crowd: Literal["pairs", "answers"],
    label_smoothing: Annotated[float, "[0, 0.5)", "share of pairs"] = 0.0,
) -> PairLoss:
    """Make the distribution of chosen rewards dominate that of the rejected ones.

        pairs    d_i = sorted_i(log policy(chosen)/policy(rejected))
                     - sorted_i(log reference(chosen)/reference(rejected))
        answers  d_i = sorted_i(u_chosen) - sorted_i(u_rejected), u = log(policy / reference)
        loss = -(1-e) log sigmoid(beta d_i) - e log sigmoid(-beta d_i)

    **Couples pairs**: it is sorted within what is computed at once, a batch, so the loss depends on
    schedule.batch_size (an epoch's last batch may be smaller). Each d_i stands at the pair that
    its first term is of.

    Settings:
        beta: inverse temperature of the leash.
        crowd: what is sorted: differences within pairs (AOT), or either side for itself (unpaired).
        label_smoothing: e, the share of pairs assumed mislabelled; 0 switches it off.

    Source: Melnyk et al. 2024, arXiv:2406.05882.
    """
    chosen_ratio_B, rejected_ratio_B = log_ratios(pairs, ref_pairs, of_sum)
    if crowd == "answers":
        upper_B, lower_B = chosen_ratio_B, rejected_ratio_B
    else:
        chosen_B, rejected_B = log_probs(pairs, of_sum)
        upper_B = chosen_B - rejected_B
        chosen_B, rejected_B = log_probs(ref_pairs, of_sum)
        lower_B = (chosen_B - rejected_B).detach()
    upper = torch.sort(upper_B)
    sorted_B = beta * (upper.values - torch.sort(lower_B).values)
    margin_B = torch.empty_like(sorted_B).scatter(0, upper.indices, sorted_B)
    loss_B = -(1 - label_smoothing) * logsigmoid(margin_B)
    if label_smoothing:
        loss_B = loss_B - label_smoothing * logsigmoid(-margin_B)
    return PairLoss(loss_B, beta * chosen_ratio_B.detach(), beta * rejected_ratio_B.detach())
