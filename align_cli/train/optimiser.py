"""AdamW as every trainer here uses it: build it once, then one `update` per batch."""

import math

import torch
from torch import nn
from torch.optim import AdamW

from align_cli.errors import NonFinite


def adamw(
    network: nn.Module, *, weight_decay: float, beta1: float, beta2: float, eps: float
) -> AdamW:
    """AdamW over what trains: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.

    Weight decay pulls matrices only; norms and biases (one dimension) are left alone. The learning
    rate is given to `update`, step by step, so it is zero here.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim >= 2]
    vectors = [p for p in trained if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # The fused kernel is one pass over memory; the loop over tensors costs more than a small model.
    fused = all(p.is_floating_point() and p.device.type in {"cpu", "cuda"} for p in trained)
    return AdamW(groups, lr=0.0, betas=(beta1, beta2), eps=eps, fused=fused)


def update(optimiser: AdamW, *, learning_rate: float, clip_norm: float | None, where: str) -> float:
    """Clip the gradient to `clip_norm`, take one step, drop the gradient; the norm before clipping.

    A gradient that is not finite raises NonFinite before any weight moves; `where` names the step
    for that message.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    limit = math.inf if clip_norm is None else clip_norm
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit))
    if not math.isfinite(norm):
        raise NonFinite(
            f"{where}: the gradient norm is {norm}; lower the learning rate or clip_norm, or look "
            "for an answer with probability zero"
        )
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return norm
