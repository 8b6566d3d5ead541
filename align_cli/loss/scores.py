"""What the judge's score difference d of a pair does to its loss; phi is the outer function."""

import math
from collections.abc import Callable, Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from align_cli.errors import RowError
from align_cli.loss.parts import Part

ScoreName = Literal[
    "offset", "log_offset", "probability_offset", "other_objective", "soft_label",
    "geometric_label", "adaptive_weight",
]  # fmt: skip
Outer = Callable[[Tensor], Tensor]


def offset(outer: Outer, margin_B: Tensor, score_B: Tensor, *, score_scale: float) -> Tensor:
    """phi(z - k d): the implicit rewards must differ as the scores do."""
    return outer(margin_B - score_scale * score_B)


def log_offset(outer: Outer, margin_B: Tensor, score_B: Tensor, *, score_scale: float) -> Tensor:
    """phi(z - k log d): the same, less so the larger d is. ODPO.

    Source: Amini et al. 2024, arXiv:2402.10571, and its authors' code.
    """
    if bool((score_B <= 0).any()):
        bad = [place for place, score in enumerate(score_B.tolist()) if score <= 0]
        raise RowError(
            f"loss.scores=log_offset: pairs {bad} of the batch have a score difference of 0 or "
            "less, which has no logarithm; choose a pairing that orders by score, or "
            "loss.scores=offset"
        )
    return outer(margin_B - score_scale * torch.log(score_B))


def probability_offset(
    outer: Outer, margin_B: Tensor, score_B: Tensor, *, score_scale: float
) -> Tensor:
    """phi(z - (p - 1/2)), p = sigmoid(k d): regress on how often the chosen answer wins.

    Source: Zhou et al. 2025, arXiv:2503.08942 (online IPO).
    """
    return outer(margin_B - (torch.sigmoid(score_scale * score_B) - 0.5))


def other_objective(
    outer: Outer, margin_B: Tensor, score_B: Tensor, *, objective_weight: float
) -> Tensor:
    """phi((z - (1-v) d) / v): pairs of one objective, of weight v, d the difference in another.

    Source: Zhou et al. 2023, arXiv:2310.03708 (MODPO), for two objectives.
    """
    return outer((margin_B - (1 - objective_weight) * score_B) / objective_weight)


def soft_label(outer: Outer, margin_B: Tensor, score_B: Tensor, *, score_scale: float) -> Tensor:
    """p phi(z) + (1-p) phi(-z), p = sigmoid(k d): the chosen answer is only probably better."""
    win_B = torch.sigmoid(score_scale * score_B)
    return win_B * outer(margin_B) + (1 - win_B) * outer(-margin_B)


def geometric_label(
    outer: Outer, margin_B: Tensor, score_B: Tensor, *, score_scale: float
) -> Tensor:
    """phi((2p-1) z), p = sigmoid(k d): a pair of equals teaches nothing.

    Source: Furuta et al. 2024, arXiv:2409.06691; text part of Lu et al. 2025, arXiv:2506.02698
    (SmPO); **reconstruction**.
    """
    return outer((2 * torch.sigmoid(score_scale * score_B) - 1) * margin_B)


def adaptive_weight(
    outer: Outer,
    margin_B: Tensor,
    score_B: Tensor,
    *,
    score_scale: float,
    weight_min: float,
    weight_max: float,
    weight_slope: float,
    weight_centre: float,
) -> Tensor:
    """q phi(z): pairs of a small score difference count more, of a large one less. MADPO.

        h = k d,  c(h) = min + (max - min) / (1 + (max-1)/(1-min) exp(slope (|h| - centre)))
        q = sigmoid(c h) / sigmoid(h) where h > -centre, else 1

    Source: Rho 2025, arXiv:2510.05342, and its author's code.
    """
    log_odds_B = score_scale * score_B
    odds = (weight_max - 1) / (1 - weight_min)
    # 1 / (1 + odds exp(x)) as a sigmoid: exp(x) overflows where the weight is just its minimum.
    falling_B = torch.sigmoid(-weight_slope * (log_odds_B.abs() - weight_centre) - math.log(odds))
    factor_B = weight_min + (weight_max - weight_min) * falling_B
    ratio_B = torch.sigmoid(factor_B * log_odds_B) / torch.sigmoid(log_odds_B)
    weight_B = torch.where(log_odds_B > -weight_centre, ratio_B, torch.ones_like(ratio_B))
    return weight_B * outer(margin_B)


SCORES: Final[Mapping[str, Part]] = {
    "offset": offset,
    "log_offset": log_offset,
    "probability_offset": probability_offset,
    "other_objective": other_objective,
    "soft_label": soft_label,
    "geometric_label": geometric_label,
    "adaptive_weight": adaptive_weight,
}
