"""Reductions: from summed log-probs to the number a loss looks at, per sequence or per token."""

from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor

from align_cli.batches import PairLogps
from align_cli.errors import RowError
from align_cli.loss.parts import Part

ReductionName = Literal["sum", "per_token"]


def of_sum(value_B: Tensor, length_B: Tensor) -> Tensor:
    """Of the whole sequence [nats]: what the derivation of DPO asks for."""
    return value_B


def per_token(value_B: Tensor, length_B: Tensor) -> Tensor:
    """Divided by the number of completion tokens [nats/token]: length gives no advantage."""
    return over_tokens(value_B, length_B, "reduction=per_token")


def over_tokens(value_B: Tensor, length_B: Tensor, part: str) -> Tensor:
    """The mean over tokens that the part of a loss named `part` asks for."""
    if bool((length_B < 1).any()):
        empty = [place for place, length in enumerate(length_B.tolist()) if length < 1]
        raise RowError(
            f"loss.{part}: pairs {empty} of the batch have an empty completion; a mean over no "
            f"tokens is not a number. Drop them, or choose another loss.{part.partition('=')[0]}"
        )
    return value_B / length_B


REDUCTIONS: Final[Mapping[str, Part]] = {"sum": of_sum, "per_token": per_token}


def log_ratios(pairs: PairLogps, ref_pairs: PairLogps, reduce: Part) -> tuple[Tensor, Tensor]:
    """log(policy / reference) of chosen and rejected; the reference gets no gradient."""
    return (
        reduce(_log_ratio(pairs.chosen_B, ref_pairs.chosen_B), pairs.chosen_len_B),
        reduce(_log_ratio(pairs.rejected_B, ref_pairs.rejected_B), pairs.rejected_len_B),
    )


def log_probs(pairs: PairLogps, reduce: Part) -> tuple[Tensor, Tensor]:
    """log policy of chosen and rejected."""
    return (
        reduce(wide(pairs.chosen_B), pairs.chosen_len_B),
        reduce(wide(pairs.rejected_B), pairs.rejected_len_B),
    )


def wide(logp_B: Tensor) -> Tensor:
    """In float32 or wider: a bfloat16 log-prob of a long answer is whole nats from the next."""
    return logp_B.to(torch.promote_types(logp_B.dtype, torch.float32))


def _log_ratio(policy_B: Tensor, reference_B: Tensor) -> Tensor:
    return wide(policy_B) - wide(reference_B.detach())
