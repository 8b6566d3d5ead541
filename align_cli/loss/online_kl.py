"""HyPO: a preference loss on stored pairs, and a KL leash on answers drawn while it trains."""

from typing import Annotated

import torch
from torch import Tensor

from align_cli.batches import GroupLogps, PairLogps, PairLoss
from align_cli.errors import RowError
from align_cli.loss.labels import LabelsName
from align_cli.loss.links import LinkName
from align_cli.loss.outer import OuterName
from align_cli.loss.pairwise import pairwise
from align_cli.loss.reduction import wide
from align_cli.loss.settings import Beta, Clip, Smoothing


def online_kl(
    pairs: PairLogps,
    ref_pairs: PairLogps,
    fresh: GroupLogps,
    ref_fresh: GroupLogps,
    *,
    beta: Beta,
    kl_weight: Annotated[float, ">= 0", "1/nat"],
    link: LinkName = "reverse_kl",
    outer: OuterName = "logistic",
    labels: LabelsName = "hard",
    label_smoothing: Smoothing = None,
    flip_rate: Smoothing = None,
    exponent_clip: Clip = None,
    alpha: Annotated[float | None, "(0, 1]", "1"] = None,
    target_margin: Annotated[float | None, ">= 0", "1"] = None,
    modulation_tau: Annotated[float | None, "(0, 1]", "1"] = None,
) -> PairLoss:
    """Prefer the chosen answer of a stored pair; hold the policy near the reference where it is.

        y_1 .. y_n  drawn afresh from the present policy for the pair's prompt
        r_j    = log policy(y_j) - log reference(y_j),  b_j = mean of the other r             [nats]
        value  = pairwise(pair) + c mean_j r_j
        slope  = that of pairwise(pair) + c mean_j log policy(y_j) (r_j - b_j),  r and b held

    The second term's value is an unbiased estimate of KL(policy || reference) of the prompt, and
    its slope one of that KL's gradient: the score function weighted by its own log-ratio, with a
    baseline that leaves out the sample itself. A gradient through r_j alone would be that of an
    average over fixed answers, whose expectation is 0. Answers are drawn at temperature 1 from the
    whole vocabulary; one cut at max_new_tokens counts as far as it goes.

    Settings (link, outer, labels and theirs are those of `pairwise`):
        beta: inverse temperature of the leash on stored pairs.
        kl_weight: c of the leash on fresh answers; 0 leaves the pairwise loss.

    Settings that the loop reads: fresh_samples is n, max_new_tokens the length of the cut.

    Source: Song et al. 2024, arXiv:2406.01462 (HyPO); the estimator and the default of kl_weight
    are a **reconstruction**.
    """
    stored = pairwise(
        pairs, ref_pairs, beta=beta, link=link, outer=outer, labels=labels,
        label_smoothing=label_smoothing, flip_rate=flip_rate, exponent_clip=exponent_clip,
        alpha=alpha, target_margin=target_margin, modulation_tau=modulation_tau,
    )  # fmt: skip
    leash_B = kl_estimate(fresh, ref_fresh).to(stored.loss_B.dtype)
    return PairLoss(
        stored.loss_B + kl_weight * leash_B, stored.chosen_reward_B, stored.rejected_reward_B
    )


def kl_estimate(fresh: GroupLogps, ref_fresh: GroupLogps) -> Tensor:
    """[G] mean log-ratio of each group, with the slope of KL(policy || reference) [nats]."""
    logp_C, group_C = wide(fresh.logp_C), fresh.group_C
    ratio_C = (logp_C - wide(ref_fresh.logp_C)).detach()
    empty_G = torch.zeros(fresh.groups, dtype=ratio_C.dtype, device=ratio_C.device)
    count_G = empty_G.index_add(0, group_C, torch.ones_like(ratio_C))
    if bool((count_G < 2).any()):
        few = [place for place, count in enumerate(count_G.tolist()) if count < 2]
        raise RowError(
            f"loss: pairs {few} of the batch have fewer than 2 fresh answers; a baseline that "
            "leaves one out wants another. Raise loss.fresh_samples"
        )
    total_C = empty_G.index_add(0, group_C, ratio_C)[group_C]
    baseline_C = (total_C - ratio_C) / (count_G[group_C] - 1)
    # Worth the log-ratio, with the slope of log policy times what it is worth beyond the others.
    each_C = ratio_C + (logp_C - logp_C.detach()) * (ratio_C - baseline_C)
    return empty_G.index_add(0, group_C, each_C) / count_G
