"""OPO and GOPO: a group's policy is moved towards a target ratio to the reference."""

from typing import Annotated

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.coordinates import COORDINATES, CoordinateName
from align_cli.loss.drive import DRIVES, DriveName
from align_cli.loss.parts import Assembly
from align_cli.loss.reduction import ReductionName
from align_cli.loss.settings import Beta
from align_cli.loss.siblings import REDUCTIONS, side_by_side


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
    x_GK = reduce(siblings.log_ratio_GK, siblings)
    loss_G = followed(x_GK, driven(siblings), siblings.share_GK)
    reward_GK = mu * x_GK.detach()
    return GroupLoss(loss_G, siblings.table.gather(reward_GK))
