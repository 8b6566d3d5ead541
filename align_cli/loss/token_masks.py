"""Masks of tokens between 0 and 1, and the per-token KLs that they are laid over."""

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from align_cli.batches import PairTokenKLs, PairTokens
from align_cli.loss.parts import Part
from align_cli.loss.reduction import wide

MaskName = Literal["all", "activations"]


def every(mask_BT: Tensor, activation_BTL: Tensor) -> Tensor:
    """1: every token counts."""
    return torch.ones_like(mask_BT, dtype=torch.float32)


def activations(mask_BT: Tensor, activation_BTL: Tensor) -> Tensor:
    """The reference's activation at each token, z-normed and rescaled to [0, 1], mean over layers.

        m_t = mean over layers of (a_t - min a) / (max a - min a)       over the answer's tokens

    Rescaling undoes the z-norm's shift and scale, so it is left out. A layer equally active at
    every token (as it is at a single one) tells none apart and gives 1 to all of them.

    Source: Christopoulou et al. 2024, arXiv:2410.05102 (MaPO), and its authors' code, where
    activations of any part of a layer may be taken; that they are the hidden states between the
    layers is a **reconstruction**.
    """
    activation_BTL = wide(activation_BTL.detach())
    outside_BT1 = ~mask_BT[..., None]
    low_B1L = activation_BTL.masked_fill(outside_BT1, torch.inf).amin(1, keepdim=True)
    high_B1L = activation_BTL.masked_fill(outside_BT1, -torch.inf).amax(1, keepdim=True)
    span_B1L = high_B1L - low_B1L
    flat_B1L = span_B1L == 0
    scaled_BTL = (activation_BTL - low_B1L) / span_B1L.masked_fill(flat_B1L, 1.0)
    scaled_BTL = torch.where(flat_B1L, 1.0, scaled_BTL)
    return scaled_BTL.masked_fill(outside_BT1, 0.0).mean(-1)


MASKS: Final[Mapping[str, Part]] = {"all": every, "activations": activations}


def kl_tokens(tokens: PairTokens, token_kls: PairTokenKLs) -> tuple[Tensor, Tensor]:
    """[B, T] KL(reference || policy) of both sides, 0 where there is no token [nats]."""
    return (
        wide(token_kls.chosen_BT).masked_fill(~tokens.chosen_mask_BT, 0.0),
        wide(token_kls.rejected_BT).masked_fill(~tokens.rejected_mask_BT, 0.0),
    )
