"""Token weights: which tokens of an answer count, and how much."""

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from align_cli.batches import PairTokens
from align_cli.errors import RowError
from align_cli.loss.parts import Part
from align_cli.loss.reduction import wide

WeightingName = Literal["all", "common_length", "suffix", "decay"]


def whole(ratio_BT: Tensor, mask_BT: Tensor, tokens: PairTokens) -> Tensor:
    """1: every token counts alike."""
    return torch.ones_like(ratio_BT)


def common_length(
    ratio_BT: Tensor, mask_BT: Tensor, tokens: PairTokens, *, tail_weight: float
) -> Tensor:
    """1 up to the shorter side's length, tail_weight beyond: being longer is worth less. LD-DPO.

    Source: Liu et al. 2024, arXiv:2409.06411, whose alpha is tail_weight.
    """
    common_B = torch.minimum(tokens.chosen_mask_BT.sum(-1), tokens.rejected_mask_BT.sum(-1))
    beyond_BT = places(mask_BT) >= common_B[:, None]
    return torch.ones_like(ratio_BT).masked_fill(beyond_BT, tail_weight)


def suffix(ratio_BT: Tensor, mask_BT: Tensor, tokens: PairTokens) -> Tensor:
    """0 on the tokens that both sides begin with, 1 from the first that differs.

    Source: Xie et al. 2024, arXiv:2405.00451 (MCTS-DPO), and its authors' code.
    """
    return (places(mask_BT) >= tokens.shared_B[:, None]).to(ratio_BT.dtype)


def decay(ratio_BT: Tensor, mask_BT: Tensor, tokens: PairTokens, *, decay: float) -> Tensor:
    """decay^t, t = 0 at the first token: what comes first counts most. D2PO.

    Source: Shao et al. 2025, arXiv:2502.14340; that t starts at 0 is a **reconstruction**.
    """
    return decay ** places(mask_BT).to(ratio_BT.dtype)


WEIGHTINGS: Final[Mapping[str, Part]] = {
    "all": whole,
    "common_length": common_length,
    "suffix": suffix,
    "decay": decay,
}


def token_log_ratios(tokens: PairTokens, ref_tokens: PairTokens) -> tuple[Tensor, Tensor]:
    """[B, T] log(policy / reference) of each token of both sides, 0 where there is none."""
    for mask_BT in (tokens.chosen_mask_BT, tokens.rejected_mask_BT):
        if not bool(mask_BT.any(-1).all()):
            empty = [place for place, some in enumerate(mask_BT.any(-1).tolist()) if not some]
            raise RowError(
                f"loss: pairs {empty} of the batch have an empty completion, which has no token "
                "to weigh; drop them"
            )
    return (
        _log_ratio(tokens.chosen_BT, ref_tokens.chosen_BT, tokens.chosen_mask_BT),
        _log_ratio(tokens.rejected_BT, ref_tokens.rejected_BT, tokens.rejected_mask_BT),
    )


def places(mask_BT: Tensor) -> Tensor:
    """[B, T] number of each token within its answer, from 0."""
    return mask_BT.cumsum(-1) - 1


def _log_ratio(policy_BT: Tensor, reference_BT: Tensor, mask_BT: Tensor) -> Tensor:
    # What lies at masked places may be anything: it is replaced, not multiplied by 0.
    return (wide(policy_BT) - wide(reference_BT.detach())).masked_fill(~mask_BT, 0.0)
