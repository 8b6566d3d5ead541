"""Logits -> one token a row, by inverse CDF from one uniform a row.

Shapes: B rows, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

SLAB = 2**26
"""Most logits turned into float64 sums at a time [numbers]; half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How logits become a distribution: divided by temperature, cut to top_k, then to top_p."""

    temperature: float
    """0 is greedy."""
    top_p: float
    top_k: int


def sample(logits_BV: Tensor, uniforms_B: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """A token id of each row, and its log-prob at temperature 1 over the whole vocabulary [nats].

    The token is a function of the row's logits and its uniform alone. Arithmetic on logits is in
    float32 at least, as in `token_logps`.
    """
    if logits_BV.device.type == "mps":
        # That device has no float64.
        logits_BV = logits_BV.cpu()
    uniforms_B = uniforms_B.to(logits_BV.device)
    if logits_BV.dtype != torch.float64:
        logits_BV = logits_BV.float()
    if rule.temperature == 0:
        token_B = logits_BV.argmax(-1)
    else:
        size = max(1, SLAB // logits_BV.shape[-1])
        tokens = [
            invert(weights(logits_BV[at : at + size], rule), uniforms_B[at : at + size])
            for at in range(0, len(logits_BV), size)
        ]
        token_B = torch.cat(tokens)
    picked_B = logits_BV.gather(-1, token_B[:, None]).squeeze(-1)
    return token_B, picked_B - logits_BV.logsumexp(-1)


def weights(logits_BV: Tensor, rule: Rule) -> Tensor:
    """Unnormalised probabilities of a rule with temperature > 0; 0 for what the rule cuts off.

    top_k keeps every token that ties with the k-th. top_p (Holtzman et al. 2020, arXiv:1904.09751)
    keeps the most probable tokens until their mass reaches p: a token stays if less than p of what
    top_k left lies before it, so the most probable one always does; ties go by token id.
    """
    highest_B1 = logits_BV.amax(-1, keepdim=True)
    weights_BV = ((logits_BV - highest_B1) / rule.temperature).exp()
    if 0 < rule.top_k < weights_BV.shape[-1]:
        least_B1 = weights_BV.topk(rule.top_k, dim=-1).values[:, -1:]
        weights_BV = weights_BV.masked_fill(weights_BV < least_B1, 0.0)
    if rule.top_p < 1:
        sorted_BV, order_BV = weights_BV.sort(dim=-1, descending=True, stable=True)
        mass_BV = sorted_BV.cumsum(-1, dtype=torch.float64)
        outside_BV = mass_BV - sorted_BV >= rule.top_p * mass_BV[:, -1:]
        kept_BV = sorted_BV.masked_fill(outside_BV, 0.0)
        weights_BV = torch.zeros_like(weights_BV).scatter(-1, order_BV, kept_BV)
    return weights_BV


def invert(weights_BV: Tensor, uniforms_B: Tensor) -> Tensor:
    """The first token whose cumulative weight exceeds u times the total, u in [0, 1).

    Sums are float64: in float32 a vocabulary of 50,000 loses its rare tokens to rounding. For
    u <= 1 - 2^-53 the product rounds to less than the total, so a token is always found, and one
    of weight 0 never.
    """
    cdf_BV = weights_BV.cumsum(-1, dtype=torch.float64)
    targets_B1 = uniforms_B[:, None] * cdf_BV[:, -1:]
    token_B = torch.searchsorted(cdf_BV, targets_B1, right=True).squeeze(-1)
    # Logits that are not numbers find no token; the caller sees it by the log-prob.
    return token_B.clamp(max=weights_BV.shape[-1] - 1)
