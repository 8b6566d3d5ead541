"""Losses that judge each answer by itself: its implicit reward has a sign, not only an order."""

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from align_cli.batches import PairLogps, PairLoss
from align_cli.loss.parts import Assembly, Part
from align_cli.loss.reduction import log_ratios, of_sum
from align_cli.loss.regularisers import REGULARISERS, RegulariserName
from align_cli.loss.settings import Beta, Nats, ValueAnswers, ValueSign, Weight


def nca(chosen_B: Tensor, rejected_B: Tensor) -> Tensor:
    """-log sigmoid(w) - 1/2 log sigmoid(-w) - 1/2 log sigmoid(-l): noise-contrastive alignment.

    Source: Chen et al. 2024, arXiv:2402.05369.
    """
    return -logsigmoid(chosen_B) - 0.5 * logsigmoid(-chosen_B) - 0.5 * logsigmoid(-rejected_B)


def bco(chosen_B: Tensor, rejected_B: Tensor) -> Tensor:
    """-log sigmoid(w) - log sigmoid(-l): a classifier of good and bad, its threshold at 0.

    Source: Jung et al. 2024, arXiv:2404.04656. The paper's threshold is a running mean of rewards:
    no function of the batch, so it is left out.
    """
    return -logsigmoid(chosen_B) - logsigmoid(-rejected_B)


def sppo_hard(chosen_B: Tensor, rejected_B: Tensor, *, beta: float) -> Tensor:
    """((w - 1/2) / beta)^2 + ((l + 1/2) / beta)^2: each log-ratio is regressed on its win rate.

    Source: Wu et al. 2024, arXiv:2405.00675, eq. 4.7 with probabilities 1 and 0.
    """
    return ((chosen_B - 0.5) / beta) ** 2 + ((rejected_B + 0.5) / beta) ** 2


def apo_zero(chosen_B: Tensor, rejected_B: Tensor) -> Tensor:
    """1 - sigmoid(w) + sigmoid(l): for chosen answers better than the policy's own.

    Source: D'Oosterlinck et al. 2024, arXiv:2408.06266, eq. 7.
    """
    return 1 - torch.sigmoid(chosen_B) + torch.sigmoid(rejected_B)


def apo_down(chosen_B: Tensor, rejected_B: Tensor) -> Tensor:
    """sigmoid(w) + 1 - sigmoid(w - l): for chosen answers worse than the policy's own.

    Source: D'Oosterlinck et al. 2024, arXiv:2408.06266, eq. 8.
    """
    return torch.sigmoid(chosen_B) + 1 - torch.sigmoid(chosen_B - rejected_B)


SIDES: Final[Mapping[str, Part]] = {
    "nca": nca,
    "bco": bco,
    "sppo_hard": sppo_hard,
    "apo_zero": apo_zero,
    "apo_down": apo_down,
}


def two_sided(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    beta: Beta,
    sides: Literal["nca", "bco", "sppo_hard", "apo_zero", "apo_down"],
    regulariser: RegulariserName = "none",
    regulariser_weight: Weight = None,
    calibration_nats: Nats = None,
    value_sign: ValueSign = None,
    value_answers: ValueAnswers = None,
) -> PairLoss:
    """Give the chosen answer a positive implicit reward and the rejected one a negative.

        w, l = beta log(policy / reference) of the chosen and of the rejected answer
        loss = sides(w, l) + regulariser

        sides      formula
        nca        -log sigmoid(w) - 1/2 log sigmoid(-w) - 1/2 log sigmoid(-l)
        bco        -log sigmoid(w) - log sigmoid(-l)
        sppo_hard  ((w - 1/2) / beta)^2 + ((l + 1/2) / beta)^2
        apo_zero   1 - sigmoid(w) + sigmoid(l)
        apo_down   sigmoid(w) + 1 - sigmoid(w - l)

    There is no link to choose: the constant per prompt of another divergence would not cancel.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        regulariser: as in `pairwise`.
        regulariser_weight: c.
        calibration_nats, value_sign, value_answers: as in `pairwise`.
    """
    parts = Assembly(
        beta=beta,
        regulariser_weight=regulariser_weight,
        calibration_nats=calibration_nats,
        value_sign=value_sign,
        value_answers=value_answers,
    )
    judged = parts.part("sides", sides, SIDES)
    regularised = parts.part("regulariser", regulariser, REGULARISERS)
    parts.close("beta")
    chosen_ratio_B, rejected_ratio_B = log_ratios(pairs, ref_pairs, of_sum)
    chosen_reward_B, rejected_reward_B = beta * chosen_ratio_B, beta * rejected_ratio_B
    loss_B = regularised(judged(chosen_reward_B, rejected_reward_B), pairs, ref_pairs)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
