"""The chosen answer's reward shall exceed the rejected one's."""

from typing import Annotated

from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(
    chosen_BD: Tensor,
    rejected_BD: Tensor,
    margin_B: Tensor,
    *,
    label_smoothing: Annotated[float, "[0, 0.5)", "share of pairs"],
    margin_scale: Annotated[float, ">= 0", "1/score unit"],
) -> Tensor:
    """Bradley-Terry: P(chosen > rejected) = sigmoid(r_chosen - r_rejected), one reward an answer.

        z    = r_chosen - r_rejected - k m         m: the pair's margin [score units]
        loss = -(1 - e) log sigmoid(z) - e log sigmoid(-z)

    With k = e = 0 it is the maximum likelihood of Bradley-Terry rewards. The margin asks pairs
    that are further apart to be told apart more surely: Touvron et al. 2023, arXiv:2307.09288
    (Llama 2), where m is a step function of a four-grade rating; Wang et al. 2024,
    arXiv:2401.06080 (Secrets of RLHF II), where it is the mean gap of an ensemble. Label smoothing
    is that of the second.

    Settings:
        label_smoothing: e, the share of pairs taken to be the wrong way round; 0: none.
        margin_scale: k; 0: margins are not looked at.
    """
    odds_B = chosen_BD[:, 0] - rejected_BD[:, 0] - margin_scale * margin_B
    loss_B = -(1 - label_smoothing) * logsigmoid(odds_B)
    return loss_B - label_smoothing * logsigmoid(-odds_B) if label_smoothing else loss_B
