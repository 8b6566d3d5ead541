"""The smallest gap that still counts: hard preferences first."""

from collections.abc import Sequence
from typing import Annotated, Literal

from align_cli.pairing.contrast import contrasts, in_order, pair, score
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def closest_margin(
    siblings: Sequence[Judged], *, least_margin: Annotated[float, ">= 0", "score units"]
) -> list[Pair] | Literal["margin_too_small"]:
    """Of all (i, j) with score_i - score_j > 0 and >= least_margin, the one of smallest gap.

    One pair a prompt, lowest indices on equal gaps. Source: HALOs (ContextualAI, train/label.py,
    pairing `min`: the smallest gap at or above a threshold).

    Settings:
        least_margin: gaps below this are no preference, at least 0; a gap of 0 never is one.
    """
    found = contrasts(in_order(siblings))
    if not found:
        return []
    wide = [each for each in found if score(each[0]) - score(each[1]) >= least_margin]
    if not wide:
        return "margin_too_small"
    return [pair(*min(wide, key=lambda each: score(each[0]) - score(each[1])))]
