"""Offsets: what is taken from the margin before it is judged."""

from collections.abc import Mapping
from typing import Final, Literal

from torch import Tensor
from torch.nn.functional import relu

from align_cli.batches import PairLogps
from align_cli.loss.parts import Part
from align_cli.loss.reduction import wide

OffsetName = Literal["none", "constant", "chosen_fall", "reference_floor"]


def none(pairs: PairLogps, ref_pairs: PairLogps | None) -> float:
    """0: the margin is judged as it is."""
    return 0.0


def constant(pairs: PairLogps, ref_pairs: PairLogps | None, *, target_margin: float) -> float:
    """g: the chosen answer must lead by a fixed margin. SimPO's gamma."""
    return target_margin


def chosen_fall(
    pairs: PairLogps, ref_pairs: PairLogps, *, beta: float, fall_penalty: float
) -> Tensor:
    """beta k max(0, -u_chosen): a chosen answer below the reference costs extra. DPO-Positive.

    Source: Pal et al. 2024, arXiv:2402.13228.
    """
    fall_B = wide(ref_pairs.chosen_B.detach()) - wide(pairs.chosen_B)
    return beta * fall_penalty * relu(fall_B)


def reference_floor(pairs: PairLogps, ref_pairs: PairLogps, *, beta: float) -> Tensor:
    """beta max(0, ref_rejected - ref_chosen): a reference that prefers the rejected is not obeyed.

    It counts as indifferent there.
    Source: Yuan et al. 2026, arXiv:2602.11902 (one of two methods called HyPO).
    """
    gap_B = wide(ref_pairs.chosen_B.detach()) - wide(ref_pairs.rejected_B.detach())
    # With u = l - r: beta (l_w - l_l - max(0, gap)) = beta (u_w - u_l) - beta max(0, -gap).
    return beta * relu(-gap_B)


OFFSETS: Final[Mapping[str, Part]] = {
    "none": none,
    "constant": constant,
    "chosen_fall": chosen_fall,
    "reference_floor": reference_floor,
}
