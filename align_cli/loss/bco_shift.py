"""Binary classifier optimisation with its reward shift, taken from the batch."""

import torch
from torch.nn.functional import logsigmoid

from align_cli.batches import PairLogps, PairLoss
from align_cli.loss.reduction import log_ratios, of_sum
from align_cli.loss.settings import Beta

COUPLES_PAIRS = True
"""A pair's loss depends on the others that are computed with it; a run holds
schedule.micro_batch_size to schedule.batch_size for such a loss."""


def bco_shift(pairs: PairLogps, ref_pairs: PairLogps, *, beta: Beta) -> PairLoss:
    """Tell chosen from rejected answers by a threshold half-way between their mean rewards.

        w, l  = beta log(policy / reference) of the chosen and of the rejected answer
        delta = mean over the batch of (w + l) / 2, without gradient
        loss  = -log sigmoid(w - delta) - log sigmoid(-(l - delta))

    **Couples pairs**, by delta. The paper keeps delta as a running mean over steps; a loss has no
    memory here, so that what a run computes does not depend on where it was interrupted.

    Settings:
        beta: inverse temperature of the leash.

    Source: Jung et al. 2024, arXiv:2404.04656 (reward shift); **reconstruction**: batch mean.
    """
    chosen_ratio_B, rejected_ratio_B = log_ratios(pairs, ref_pairs, of_sum)
    chosen_B, rejected_B = beta * chosen_ratio_B, beta * rejected_ratio_B
    # A pair that is not a number spoils its own loss, by which it can be named, and no other's.
    delta = torch.nanmean((chosen_B + rejected_B).detach() / 2)
    loss_B = -logsigmoid(chosen_B - delta) - logsigmoid(delta - rejected_B)
    return PairLoss(loss_B, chosen_B.detach(), rejected_B.detach())
