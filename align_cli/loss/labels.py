"""Label models: how far a pair's label is believed. phi is the outer function, z the margin."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from torch import Tensor

from align_cli.loss.parts import Part

LabelsName = Literal["hard", "smoothed", "robust"]
Outer = Callable[[Tensor], Tensor]


def hard(outer: Outer, margin_B: Tensor) -> Tensor:
    """phi(z): the label is right."""
    return outer(margin_B)


def smoothed(outer: Outer, margin_B: Tensor, *, label_smoothing: float) -> Tensor:
    """(1-e) phi(z) + e phi(-z): a share e of the pairs is mislabelled. cDPO.

    Source: Mitchell 2023, a note on DPO with noisy preferences.
    """
    loss_B = (1 - label_smoothing) * outer(margin_B)
    return loss_B + label_smoothing * outer(-margin_B) if label_smoothing else loss_B


def robust(outer: Outer, margin_B: Tensor, *, flip_rate: float) -> Tensor:
    """((1-e) phi(z) - e phi(-z)) / (1 - 2e): its mean under flips at rate e is phi(z).

    With phi = logistic it is unbounded below: slope -e / (1 - 2e) for large z.
    Source: Ray Chowdhury et al. 2024, arXiv:2403.00409.
    """
    loss_B = (1 - flip_rate) * outer(margin_B) - flip_rate * outer(-margin_B)
    return loss_B / (1 - 2 * flip_rate)


LABELS: Final[Mapping[str, Part]] = {"hard": hard, "smoothed": smoothed, "robust": robust}
