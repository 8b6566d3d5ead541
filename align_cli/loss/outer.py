"""Outer functions: what a margin z between implicit rewards costs.

z = beta (s(l_chosen) - s(l_rejected)) less any offset, without unit; a convex decreasing function
of it makes a member of GPO (Tang et al. 2024, arXiv:2402.05749), whose Table 1 has DPO's, SLiC's
and IPO's; that its others are exponential, truncated_quadratic and savage as here is a
**reconstruction**.
"""

import math
from collections.abc import Mapping
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from align_cli.errors import ConfigError
from align_cli.loss.parts import Part

OuterName = Literal[
    "logistic", "hinge", "ipo", "square", "square_nats", "exponential", "truncated_quadratic",
    "savage", "discopop", "exo",
]  # fmt: skip


def logistic(margin_B: Tensor) -> Tensor:
    """-log sigmoid(z): the likelihood of the choice under Bradley-Terry. DPO."""
    return -logsigmoid(margin_B)


def hinge(margin_B: Tensor) -> Tensor:
    """max(0, 1 - z): nothing is asked of a pair once its margin is 1. SLiC, RSO."""
    return relu(1 - margin_B)


def ipo(margin_B: Tensor, *, beta: float) -> Tensor:
    """((z - 1/2) / beta)^2: the log-ratio difference is regressed on 1 / (2 beta) [nats^2].

    Source: Azar et al. 2023, arXiv:2310.12036, eq. 17.
    """
    return ((margin_B - 0.5) / beta) ** 2


def square(margin_B: Tensor, *, target_margin: float = 0.0) -> Tensor:
    """(z - target)^2: the margin is regressed on its target."""
    return (margin_B - target_margin) ** 2


def square_nats(margin_B: Tensor, *, beta: float) -> Tensor:
    """(z / beta)^2: the same regression on 0, in log-ratios [nats^2]."""
    return (margin_B / beta) ** 2


def exponential(margin_B: Tensor, *, exponent_clip: float | None = None) -> Tensor:
    """exp(-z), as in boosting; beyond the clip it goes on as its tangent."""
    if exponent_clip is None:
        return torch.exp(-margin_B)
    beyond_B = relu(-margin_B - exponent_clip)
    return torch.exp((-margin_B).clamp(max=exponent_clip)) + math.exp(exponent_clip) * beyond_B


def truncated_quadratic(margin_B: Tensor) -> Tensor:
    """max(0, 1 - z)^2."""
    return relu(1 - margin_B) ** 2


def savage(margin_B: Tensor) -> Tensor:
    """(1 - sigmoid(z))^2: bounded, so that a hopeless pair is given up."""
    return torch.sigmoid(-margin_B) ** 2


def discopop(margin_B: Tensor, *, modulation_tau: float) -> Tensor:
    """(1 - g) (-log sigmoid(z)) + g exp(-z), g = sigmoid(z / tau): found by a language model.

    Not convex: between about z = -0.1 and z = 0.1 it rises, so a pair starts by closing its margin.
    Source: Lu et al. 2024, arXiv:2406.08414, eq. 5.
    """
    gate_B = margin_B / modulation_tau
    # g exp(-z) as one exponential: its factors overflow where their product is small.
    return -logsigmoid(margin_B) * torch.sigmoid(-gate_B) + torch.exp(logsigmoid(gate_B) - margin_B)


def exo(margin_B: Tensor, *, label_smoothing: float) -> Tensor:
    """KL(q || p), q = (sigmoid(z), sigmoid(-z)), p = (1 - e, e); e must be above 0.

    Source: Ji et al. 2024, arXiv:2402.00856, eq. 16.
    """
    if not label_smoothing:
        raise ConfigError(
            "loss.label_smoothing: got 0.0, outer=exo wanted above 0: it compares with a choice "
            "that is never quite certain, and log 0 is not a number; 0.001 is the usual value"
        )
    log_w_B, log_l_B = logsigmoid(margin_B), logsigmoid(-margin_B)
    at_w_B = log_w_B - math.log1p(-label_smoothing)
    at_l_B = log_l_B - math.log(label_smoothing)
    return torch.sigmoid(margin_B) * at_w_B + torch.sigmoid(-margin_B) * at_l_B


OUTERS: Final[Mapping[str, Part]] = {
    "logistic": logistic,
    "hinge": hinge,
    "ipo": ipo,
    "square": square,
    "square_nats": square_nats,
    "exponential": exponential,
    "truncated_quadratic": truncated_quadratic,
    "savage": savage,
    "discopop": discopop,
    "exo": exo,
}
