"""Regression of each answer's log-ratio on how well it does against the policy's answers."""

from typing import Annotated, Literal

import torch

from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.loss.reduction import log_ratios, of_sum, wide
from align_cli.loss.settings import Beta


def win_rate(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    pair_labels: PairLabels,
    *,
    beta: Beta,
    target: Literal["probability", "score"],
    score_scale: Annotated[float, "> 0", "1/score unit"],
) -> PairLoss:
    """Move each answer's log-ratio to its advantage over the policy, judged within the pair.

        u    = log(policy / reference), d = score(chosen) - score(rejected)
        loss = (u_chosen - t / beta)^2 + (u_rejected + t / beta)^2           [nats^2]

        target       t                          known as
        probability  sigmoid(k d) - 1/2         SPPO, soft
        score        k d / 2                    GPO on preference scores, with two siblings

    The reference is the policy that drew the answers: schedule.reference=previous.

    Settings:
        beta: inverse temperature; 1 / beta is the step in nats per unit of advantage.
        target: what an advantage is.
        score_scale: k, which makes the judge's score differences log-odds.

    Source: Wu et al. 2024, arXiv:2405.00675 (SPPO); Zhang et al. 2024, arXiv:2410.02197,
    eq. 5.2-5.3 (GPO). **Reconstruction**: the paper estimates SPPO's win rate from more answers
    than two; the pair's own probability stands for it.
    """
    chosen_ratio_B, rejected_ratio_B = log_ratios(pairs, ref_pairs, of_sum)
    log_odds_B = score_scale * wide(pair_labels.margin_B).to(chosen_ratio_B.dtype)
    won_B = torch.sigmoid(log_odds_B) - 0.5 if target == "probability" else 0.5 * log_odds_B
    loss_B = (chosen_ratio_B - won_B / beta) ** 2 + (rejected_ratio_B + won_B / beta) ** 2
    return PairLoss(loss_B, beta * chosen_ratio_B.detach(), beta * rejected_ratio_B.detach())
