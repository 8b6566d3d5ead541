"""OPO and GOPO: a group's policy is moved towards a target ratio to the reference."""

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.errors import ConfigError
from align_cli.loss.coordinates import COORDINATES, CoordinateName, bounded_projection
from align_cli.loss.drive import DRIVES, DriveName, check_positive
from align_cli.loss.parts import Assembly
from align_cli.loss.reduction import ReductionName
from align_cli.loss.settings import Beta
from align_cli.loss.siblings import REDUCTIONS, Siblings, side_by_side

WHOLE = 1e-6
"""By how much the probabilities of all answers may miss 1."""


def projection(
    groups: GroupLogps,
    ref_groups: GroupLogps,
    group_labels: GroupLabels,
    *,
    mu: Beta,
    drive: DriveName,
    coordinate: CoordinateName,
    score_scale: Annotated[float, "> 0", "1/score unit"],
    reduction: ReductionName = "sum",
    share: Literal["siblings", "reference"] = "siblings",
    alpha: Annotated[float | None, "[0, 1)", "1"] = None,
    ratio_temperature: Annotated[float | None, "> 0", "nats/token"] = None,
    exponent_clip: Annotated[float | None, "(0, 30]", "nats"] = None,
) -> GroupLoss:
    """Move the ratio to the reference to 1 + g / mu, with a slope that does not fade on the way.

        x    = reduction(log(policy / reference)) of a completion,  rho = exp(x)
        A    = score_scale (score - mean score)              mean: over the group
        loss = coordinate(x, drive)

        drive                     g                                known as
        advantage                 A                                GOPO
        escort                    omega ~ (exp(A)/reference)^(1-alpha)  OPO, as printed
        escort_length_normalised  the same, reference per token    OPO for long completions
        absorbed                  omega ~ exp((1-alpha) A)         OPO without the factor
        code_softmax              omega ~ q^(1-alpha) p^alpha      OPO, as its author's code

        g = omega - 1, with omega of mean 1 in each group.

        coordinate     loss                                        least at
        log_ratio      mean(-g x + mu/2 x^2)                       x = g / mu
        ratio          mean(-g (rho-1) + mu/2 (rho-1)^2)           rho = 1 + g / mu
        bounded_ratio  mu/2 mean((rho - 1 - max(-1, (g-l)/mu))^2)  l: so that the mean stays 1

    At the reference the slope of a completion is -g / size, whatever the coordinate, unless the
    bound is met. A group of tied scores has g = 0 under advantage and absorbed; the others still
    tell completions apart by their probabilities.

    **Positivity.** 1 + g / mu may be negative, and then no policy reaches it: `drive.min_mu` says
    from which mu on it is not. With omega of mean 1 that is at most 1. OPO's own mu = 1 with
    alpha = 0.4 is not safe for weights as the paper leaves them, without a normalisation; GOPO's
    mu = 0.5 is not safe for scores of 0 and 1.

    What does not saturate is the slope in x or rho; in logits the softmax's factor fades as ever.

    Settings (one that no chosen part reads is refused; null is: not given):
        mu: stiffness; larger keeps the policy nearer the reference.
        score_scale: scores to the unit of A.
        reduction: sum | per_token, of the log-ratio.
        share: what a mean over the group is taken under. siblings: all alike, as draws of the
            reference are. reference: the reference's own probabilities, which makes the loss exact
            where a group is all there is to answer (sampler=every_arm); mu below the positivity
            bound is then refused under coordinate=ratio, and a reference that gives an answer
            probability 0 is.
        alpha: of the drives made of weights; 1 would weigh all alike.
        ratio_temperature: tau of drive=code_softmax.
        exponent_clip: rho beyond exp(clip) goes on as its tangent; null leaves it exact, and
            float32 overflows near x = 44.

    The reference is the policy that drew the completions: schedule.reference=previous.

    Source: Wang 2026, arXiv:2601.12415 (OPO), and the author's code; arXiv:2602.21269 (GOPO).
    **Reconstruction**: the normalisation of omega, and which form a length-normalised reference
    takes, are choices; the code's 1/(1-alpha) is left out.
    """
    parts = Assembly(
        mu=mu,
        score_scale=score_scale,
        alpha=alpha,
        ratio_temperature=ratio_temperature,
        exponent_clip=exponent_clip,
    )
    driven = parts.part("drive", drive, DRIVES)
    followed = parts.part("coordinate", coordinate, COORDINATES)
    reduce = parts.part("reduction", reduction, REDUCTIONS)
    parts.close()
    siblings = side_by_side(groups, ref_groups, group_labels)
    if share == "reference":
        siblings = under_reference(siblings)
    x_GK = reduce(siblings.log_ratio_GK, siblings)
    drive_GK = driven(siblings)
    loss_G = followed(x_GK, drive_GK, siblings.share_GK)
    reward_GK = mu * x_GK.detach()

    def target() -> Tensor:
        bounded = coordinate == "bounded_ratio"
        target_GK = target_log_ratio(drive_GK, siblings.share_GK, mu, bounded=bounded)
        return siblings.table.gather(target_GK)

    known = share == "reference" and coordinate != "log_ratio"
    return GroupLoss(loss_G, siblings.table.gather(reward_GK), target if known else None)


def under_reference(siblings: Siblings) -> Siblings:
    """The same with the reference's probabilities as the share; they must be all of them."""
    there_GK = siblings.share_GK > 0
    dead = (there_GK & ~(siblings.reference_GK.exp() > 0)).nonzero().tolist()
    if dead:
        raise ConfigError(
            f"opo: the reference gives probability 0 to answer {dead[0][1]} of group {dead[0][0]} "
            f"and to {len(dead) - 1} more; no ratio to it is a number. Keep mu above the "
            "positivity bound, or give dead arms a floor (schedule.floor)"
        )
    share_GK = siblings.reference_GK.exp() * there_GK
    total_G = share_GK.sum(1)
    place = int((total_G - 1).abs().argmax())
    if abs(float(total_G[place]) - 1) > WHOLE:
        raise ConfigError(
            f"loss.share=reference is of groups that hold every answer, and to group {place} the "
            f"reference gives {float(total_G[place]):.6g} in all; set sampler=every_arm (bandits), "
            "or loss.share=siblings"
        )
    return replace(siblings, share_GK=share_GK)


def target_log_ratio(drive_GK: Tensor, share_GK: Tensor, mu: float, *, bounded: bool) -> Tensor:
    """log(1 + v*) of the projection v* = g / mu, or of the bounded one; refused below the bound."""
    if bounded:
        return torch.log1p(bounded_projection(drive_GK, share_GK, mu))
    check_positive(drive_GK, share_GK, mu)
    return torch.log1p(drive_GK / mu)
