"""TDPO: the margin also counts how far the policy has moved at every token of either answer."""

from typing import Annotated, Literal

from align_cli.batches import PairLoss, PairTokenKLs, PairTokens
from align_cli.loss.labels import LABELS, LabelsName
from align_cli.loss.outer import OUTERS, OuterName
from align_cli.loss.parts import Assembly
from align_cli.loss.settings import Beta, Clip, Smoothing
from align_cli.loss.token_masks import kl_tokens
from align_cli.loss.token_weights import token_log_ratios


def sequential_kl(
    tokens: PairTokens,
    ref_tokens: PairTokens,
    token_kls: PairTokenKLs,
    *,
    beta: Beta,
    kl_weight: Annotated[float, ">= 0", "1"],
    kl_gradient: Literal["both", "rejected"],
    outer: OuterName = "logistic",
    labels: LabelsName = "hard",
    label_smoothing: Smoothing = None,
    flip_rate: Smoothing = None,
    exponent_clip: Clip = None,
    target_margin: Annotated[float | None, ">= 0", "1"] = None,
    modulation_tau: Annotated[float | None, "(0, 1]", "1"] = None,
) -> PairLoss:
    """DPO whose margin holds back the rejected side's drift from the reference.

        l      = sum_t log(policy / reference) of token t                          [nats]
        k      = sum_t KL(reference || policy) of the distribution of token t      [nats]
        z      = beta (l_chosen - l_rejected + a (k_chosen - k_rejected))
        loss   = labels(phi, z)                               phi: the outer function

    With kl_gradient=both and a = 1 this is TDPO1; with kl_gradient=rejected, where k_chosen passes
    no gradient, TDPO2. With k = 0 it is DPO. A side's reward is beta (l + a k). outer and labels
    are those of `pairwise`.

    Settings (one that no chosen part reads is refused; null is: not given):
        beta: inverse temperature of the leash.
        kl_weight: a; 0 is DPO.
        kl_gradient: whose drift is trained: both sides' or the rejected one's alone.
        label_smoothing, flip_rate, exponent_clip, target_margin, modulation_tau: as in `pairwise`.

    Source: Zeng et al. 2024, arXiv:2404.11999, and its authors' code.
    """
    parts = Assembly(
        beta=beta,
        label_smoothing=label_smoothing,
        flip_rate=flip_rate,
        exponent_clip=exponent_clip,
        target_margin=target_margin,
        modulation_tau=modulation_tau,
    )
    phi = parts.part("outer", outer, OUTERS)
    believed = parts.part("labels", labels, LABELS)
    parts.close("beta")
    chosen_BT, rejected_BT = token_log_ratios(tokens, ref_tokens)
    chosen_kl_BT, rejected_kl_BT = kl_tokens(tokens, token_kls)
    if kl_gradient == "rejected":
        chosen_kl_BT = chosen_kl_BT.detach()
    chosen_reward_B = beta * (chosen_BT + kl_weight * chosen_kl_BT).sum(-1)
    rejected_reward_B = beta * (rejected_BT + kl_weight * rejected_kl_BT).sum(-1)
    loss_B = believed(phi, chosen_reward_B - rejected_reward_B)
    return PairLoss(loss_B, chosen_reward_B.detach(), rejected_reward_B.detach())
