"""Preference losses on log-ratios summed over weighted tokens."""

from collections.abc import Mapping
from typing import Annotated, Final

from torch import Tensor

from align_cli.batches import PairLoss, PairTokens
from align_cli.errors import RowError
from align_cli.loss.labels import LABELS, LabelsName
from align_cli.loss.outer import OUTERS, OuterName
from align_cli.loss.parts import Assembly, Part
from align_cli.loss.reduction import ReductionName
from align_cli.loss.settings import Beta, Clip, Smoothing
from align_cli.loss.token_weights import WEIGHTINGS, WeightingName, token_log_ratios


def token_weighted(
    tokens: PairTokens,
    ref_tokens: PairTokens,
    *,
    beta: Beta,
    weighting: WeightingName,
    reduction: ReductionName = "sum",
    outer: OuterName = "logistic",
    labels: LabelsName = "hard",
    tail_weight: Annotated[float | None, "[0, 1]", "1"] = None,
    decay: Annotated[float | None, "(0, 1]", "1"] = None,
    label_smoothing: Smoothing = None,
    flip_rate: Smoothing = None,
    exponent_clip: Clip = None,
    target_margin: Annotated[float | None, ">= 0", "1"] = None,
    modulation_tau: Annotated[float | None, "(0, 1]", "1"] = None,
) -> PairLoss:
    """Make the chosen answer's weighted implicit reward exceed the rejected one's.

        l_t    = log(policy / reference) of token t          [nats]
        l      = sum_t m_t l_t                                m: the weighting
        z      = beta (l_chosen - l_rejected)
        loss   = labels(phi, z)                               phi: the outer function

        weighting      m_t                                    known as
        all            1                                      DPO
        common_length  1 up to the shorter side's length, tail_weight beyond   LD-DPO
        suffix         0 on the tokens both sides begin with, else 1           step or suffix DPO
        decay          decay^t                                D2PO

    The log-ratios of shared tokens are the same on both sides, so with reduction=sum the suffix
    gives DPO's loss and gradient and differs in the rewards it reports; with per_token, which
    divides by sum_t m_t, shared tokens also leave the length. outer and labels are those of
    `pairwise`.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        tail_weight: of weighting=common_length: 1 is DPO, 0 cuts both sides to one length.
        decay: of weighting=decay; 1 is DPO.
        label_smoothing, flip_rate, exponent_clip, target_margin, modulation_tau: as in `pairwise`.
    """
    parts = Assembly(
        beta=beta,
        tail_weight=tail_weight,
        decay=decay,
        label_smoothing=label_smoothing,
        flip_rate=flip_rate,
        exponent_clip=exponent_clip,
        target_margin=target_margin,
        modulation_tau=modulation_tau,
    )
    weigh = parts.part("weighting", weighting, WEIGHTINGS)
    reduce = parts.part("reduction", reduction, REDUCTIONS)
    phi = parts.part("outer", outer, OUTERS)
    believed = parts.part("labels", labels, LABELS)
    parts.close("beta")
    ratios = token_log_ratios(tokens, ref_tokens)
    masks = (tokens.chosen_mask_BT, tokens.rejected_mask_BT)
    chosen_reward_B, rejected_reward_B = (
        beta * reduce(ratio_BT, weigh(ratio_BT, mask_BT, tokens) * mask_BT)
        for ratio_BT, mask_BT in zip(ratios, masks, strict=True)
    )
    loss_B = believed(phi, chosen_reward_B - rejected_reward_B)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())


def of_sum(value_BT: Tensor, weight_BT: Tensor) -> Tensor:
    """sum_t m_t l_t."""
    return (weight_BT * value_BT).sum(-1)


def per_token(value_BT: Tensor, weight_BT: Tensor) -> Tensor:
    """sum_t m_t l_t / sum_t m_t."""
    total_B = weight_BT.sum(-1)
    if bool((total_B == 0).any()):
        bare = [place for place, total in enumerate(total_B.tolist()) if total == 0]
        raise RowError(
            f"loss.reduction=per_token: in pairs {bare} of the batch no token of one side counts; "
            "a mean over no tokens is not a number. Use loss.reduction=sum"
        )
    return of_sum(value_BT, weight_BT) / total_B


REDUCTIONS: Final[Mapping[str, Part]] = {"sum": of_sum, "per_token": per_token}
