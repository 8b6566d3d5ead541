"""Preferences between embedded answers: skew-symmetric, so they may go round in a circle."""

import torch
from torch import Tensor

LEAST_NORM = 1e-6
"""Embeddings shorter than this are no direction; they are not scaled up without bound."""


def log_odds(one_N2K: Tensor, other_N2K: Tensor, *, temperature: float) -> Tensor:
    """[N] log-odds that `one` is preferred to `other`.

        v       = logits / |logits|                                       unit length, in R^2k
        s(a, b) = sum over l of v_a[2l] v_b[2l+1] - v_a[2l+1] v_b[2l]     in [-1, 1]
        P(a > b) = sigmoid(s / temperature)

    s(a, b) = -s(b, a) and s(a, a) = 0 whatever the weights, so no order of the two is favoured.
    Bradley-Terry is the special case v = (R, const) before scaling. Here every block l weighs the
    same; the source weighs them by a gate on the prompt, which is left out.
    Source: Zhang et al. 2024, arXiv:2410.02197 (GPM), in the orientation that its code trains.
    """
    a_NK2 = _unit(one_N2K).unflatten(-1, (-1, 2))
    b_NK2 = _unit(other_N2K).unflatten(-1, (-1, 2))
    s_N = (a_NK2[..., 0] * b_NK2[..., 1] - a_NK2[..., 1] * b_NK2[..., 0]).sum(-1)
    odds_N: Tensor = s_N / temperature
    return odds_N


def _unit(logits_ND: Tensor) -> Tensor:
    norm_N1: Tensor = torch.linalg.vector_norm(logits_ND, dim=-1, keepdim=True)
    return logits_ND / norm_N1.clamp_min(LEAST_NORM)
