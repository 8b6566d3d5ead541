"""Losses between two choices of a pair: the policy's, q, and that which the label asks for, p.

    q = (sigmoid(z), sigmoid(-z)), z = beta (log-ratio of the chosen - of the rejected answer)
    loss = D(p, q), a divergence: f-PO. forward_kl is DPO's, reverse_kl EXO's.

Source: Ji et al. 2024, arXiv:2402.00856 (EXO); Han et al. 2024, arXiv:2410.21662 (f-PO).
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.loss.parts import Assembly, Part
from align_cli.loss.reduction import log_ratios, of_sum, wide
from align_cli.loss.settings import Beta

DivergenceName = Literal[
    "forward_kl", "reverse_kl", "jensen_shannon", "alpha", "jeffreys", "squared_hellinger"
]


def forward_kl(log_p_B: Tensor, log_q_B: Tensor) -> Tensor:
    """p log(p / q): cross-entropy less the label's own entropy."""
    return torch.exp(log_p_B) * (log_p_B - log_q_B)


def reverse_kl(log_p_B: Tensor, log_q_B: Tensor) -> Tensor:
    """q log(q / p): a choice that the label rules out is given up."""
    return torch.exp(log_q_B) * (log_q_B - log_p_B)


def jensen_shannon(log_p_B: Tensor, log_q_B: Tensor) -> Tensor:
    """(p log(p / m) + q log(q / m)) / 2, m = (p + q) / 2."""
    log_m_B = torch.logaddexp(log_p_B, log_q_B) - torch.log(torch.full_like(log_p_B, 2))
    return (forward_kl(log_p_B, log_m_B) + forward_kl(log_q_B, log_m_B)) / 2


def alpha(log_p_B: Tensor, log_q_B: Tensor, *, alpha: float) -> Tensor:
    """(a p + (1-a) q - p^a q^(1-a)) / (a (1-a)): a -> 1 is forward_kl, a -> 0 reverse_kl."""
    mixed_B = alpha * torch.exp(log_p_B) + (1 - alpha) * torch.exp(log_q_B)
    return (mixed_B - torch.exp(alpha * log_p_B + (1 - alpha) * log_q_B)) / (alpha * (1 - alpha))


def jeffreys(log_p_B: Tensor, log_q_B: Tensor) -> Tensor:
    """(p - q) log(p / q): forward_kl and reverse_kl together."""
    return (torch.exp(log_p_B) - torch.exp(log_q_B)) * (log_p_B - log_q_B)


def squared_hellinger(log_p_B: Tensor, log_q_B: Tensor) -> Tensor:
    """(sqrt(p) - sqrt(q))^2: half of alpha at a = 1/2."""
    return (torch.exp(log_p_B / 2) - torch.exp(log_q_B / 2)) ** 2


DIVERGENCES: Final[Mapping[str, Part]] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jensen_shannon": jensen_shannon,
    "alpha": alpha,
    "jeffreys": jeffreys,
    "squared_hellinger": squared_hellinger,
}
Mix = Annotated[float | None, "(0, 1)", "1"]


def labelled(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    *,
    beta: Beta,
    divergence: DivergenceName,
    label_smoothing: Annotated[float, "(0, 0.5)", "share of pairs"],
    alpha: Mix = None,
) -> PairLoss:
    """Move the policy's choice within a pair onto the label, by a divergence of choice.

        q, p = (sigmoid(z), sigmoid(-z)), (1 - e, e)         z = beta (u_chosen - u_rejected)
        loss = sum over both answers of

        divergence         formula                                    known as
        forward_kl         p log(p / q)                               cDPO, less a constant
        reverse_kl         q log(q / p)                               EXO
        jensen_shannon     (p log(p / m) + q log(q / m)) / 2          m = (p + q) / 2
        alpha              (a p + (1-a) q - p^a q^(1-a)) / (a (1-a))  f-PO
        jeffreys           (p - q) log(p / q)
        squared_hellinger  (sqrt(p) - sqrt(q))^2

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        label_smoothing: e, the share of pairs assumed mislabelled; above 0, or p has no logarithm.
        alpha: a of divergence=alpha; near 1 is forward_kl, near 0 reverse_kl.

    Source: Han et al. 2024, arXiv:2410.21662 (f-PO); Ji et al. 2024, arXiv:2402.00856 (EXO); and
    both authors' code, where e is exp(-10) and the label is not normalised.
    """
    right_B = torch.full_like(wide(pairs.chosen_B.detach()), 1 - label_smoothing)
    target = (torch.log(right_B), torch.log1p(-right_B))
    return _between(pairs, ref_pairs, target, beta, divergence, alpha)


def scored_choice(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    pair_labels: PairLabels,
    *,
    beta: Beta,
    divergence: DivergenceName,
    score_scale: Annotated[float, "> 0", "1/score unit"],
    alpha: Mix = None,
) -> PairLoss:
    """The same, onto what the judge's scores say: how often the chosen answer is the better one.

        q, p = (sigmoid(z), sigmoid(-z)), (sigmoid(k d), sigmoid(-k d))
        z    = beta (u_chosen - u_rejected), d = score(chosen) - score(rejected)
        loss = sum over both answers of the divergence: as in `labelled`

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        divergence: reverse_kl is EXO with rewards, of two answers.
        score_scale: k, which makes the judge's scores log-odds; 1 / beta_r in the paper.
        alpha: a of divergence=alpha; near 1 is forward_kl, near 0 reverse_kl.

    Source: Ji et al. 2024, arXiv:2402.00856 and its authors' code (exo-rw), at two answers.
    """
    log_odds_B = score_scale * wide(pair_labels.margin_B).to(wide(pairs.chosen_B).dtype)
    target = (logsigmoid(log_odds_B), logsigmoid(-log_odds_B))
    return _between(pairs, ref_pairs, target, beta, divergence, alpha)


def _between(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    target: tuple[Tensor, Tensor],
    beta: float,
    divergence: str,
    alpha: float | None,
) -> PairLoss:
    parts = Assembly(beta=beta, alpha=alpha)
    apart = parts.part("divergence", divergence, DIVERGENCES)
    parts.close("beta")
    chosen_ratio_B, rejected_ratio_B = log_ratios(pairs, ref_pairs, of_sum)
    chosen_reward_B, rejected_reward_B = beta * chosen_ratio_B, beta * rejected_ratio_B
    margin_B = chosen_reward_B - rejected_reward_B
    loss_B = apart(target[0], logsigmoid(margin_B)) + apart(target[1], logsigmoid(-margin_B))
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
