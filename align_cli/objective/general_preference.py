"""Preferences that need not be transitive: answers are embedded, and pairs of them compared."""

from typing import Annotated

from torch import Tensor
from torch.nn.functional import logsigmoid

from align_cli.model.skew import log_odds


def general_preference(
    chosen_BD: Tensor,
    rejected_BD: Tensor,
    *,
    temperature: Annotated[float, "> 0", "1"],
    label_smoothing: Annotated[float, "[0, 0.5)", "share of pairs"],
) -> Tensor:
    """General preference model: every answer is a unit vector v in R^2k, every two are compared.

        s(a, b) = sum over l of v_a[2l] v_b[2l+1] - v_a[2l+1] v_b[2l]        in [-1, 1]
        z       = s(chosen, rejected) / temperature          P(chosen > rejected) = sigmoid(z)
        loss    = -(1 - e) log sigmoid(z) - e log sigmoid(-z)

    s is skew-symmetric: exchanging the answers exchanges the probabilities. Where rewards must put
    all answers on one line, embeddings can hold a circle (rock beats scissors beats paper beats
    rock); a model of rewards is the special case v = (R, const) before scaling.

    Source: Zhang et al. 2024, arXiv:2410.02197 (GPM). Its gate, which weighs the blocks by prompt,
    is left out: every block weighs 1.

    Settings:
        outputs: 2k, the size of an embedding, even; the source found 2 to 8 best.
        temperature: P lies within sigmoid(+-1 / temperature); the source has 1 for two
            dimensions and 0.1 for more.
        label_smoothing: e, the share of pairs taken to be the wrong way round; 0: none.
    """
    odds_B = log_odds(chosen_BD, rejected_BD, temperature=temperature)
    loss_B = -(1 - label_smoothing) * logsigmoid(odds_B)
    return loss_B - label_smoothing * logsigmoid(-odds_B) if label_smoothing else loss_B
