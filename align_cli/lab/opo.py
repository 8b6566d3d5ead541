"""OPO on exact policies: the whole distribution is moved to its projection, in one step."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from align_cli.bandit.instance import Array
from align_cli.lab.exact import group_logps
from align_cli.loss.coordinates import bounded_projection
from align_cli.loss.drive import DRIVES, DriveName, check_positive
from align_cli.loss.siblings import Siblings, table_of

TINY = 1e-300
"""Stands for a probability that a bounded step has cut to 0, so that its logarithm is a number."""


def opo_drive(
    policy_XK: Array, score_XK: Array, *, drive: DriveName, score_scale: float = 1.0, **more: Any
) -> tuple[Tensor, Tensor]:
    """(g, share) of `loss.drive`, the mean taken under the policy itself rather than over draws."""
    log_XK = torch.from_numpy(np.log(np.maximum(policy_XK, TINY)))
    siblings = Siblings(
        table=table_of(group_logps(log_XK)),
        logp_GK=log_XK,
        reference_GK=log_XK,
        length_GK=torch.ones_like(log_XK),
        score_GK=torch.from_numpy(score_XK),
        log_ratio_GK=torch.zeros_like(log_XK),
        share_GK=torch.from_numpy(policy_XK),
    )
    return DRIVES[drive](siblings, score_scale=score_scale, **more), siblings.share_GK


def closed_form(drive_GK: Tensor, share_GK: Tensor, mu: float) -> Array:
    """v* = g / mu, the ratio less 1; refused where it asks for a probability below 0."""
    check_positive(drive_GK, share_GK, mu)
    out: Array = (drive_GK / mu).numpy()
    return out


def bounded(drive_GK: Tensor, share_GK: Tensor, mu: float) -> Array:
    """v* = max(-1, (g - lambda) / mu): for any mu; arms that meet the bound are dead for good."""
    out: Array = bounded_projection(drive_GK, share_GK, mu).numpy()
    return out
