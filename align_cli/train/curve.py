"""The learning rate's shape over a round's optimiser steps."""

import math
from typing import Literal


def multiplier(
    curve: Literal["constant", "linear", "cosine"], progress: float, *, warmup_share: float = 0.0
) -> float:
    """The factor on the peak learning rate, in [0, 1], at `progress`: steps done / steps in all.

        u        = progress / warmup_share                        in the warm-up: factor u
        x        = (progress - warmup_share) / (1 - warmup_share)       after it:
        constant   1
        linear     1 - x
        cosine     (1 + cos(pi x)) / 2                             reaches 0 at the end, as linear

    A step takes the factor of the steps done before it, so the first of n steps is at progress 0
    and the last at (n - 1) / n: without warm-up it has the peak, with warm-up it has 0.

    Settings:
        warmup_share: share of the steps that the rate climbs over, in [0, 1); 0 is no warm-up.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress is steps done over steps in all, in [0, 1]; got {progress}")
    if not 0 <= warmup_share < 1:
        raise ValueError(f"warmup_share is in [0, 1); got {warmup_share}")
    if progress < warmup_share:
        return progress / warmup_share
    x = (progress - warmup_share) / (1 - warmup_share)
    if curve == "constant":
        return 1.0
    if curve == "linear":
        return 1.0 - x
    return (1.0 + math.cos(math.pi * x)) / 2
