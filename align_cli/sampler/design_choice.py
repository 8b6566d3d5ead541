"""From a design over all candidates to the few of each prompt that are labelled."""

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from align_cli.bandit.design import leverages

Array = npt.NDArray[np.float64]
WAYS: Final = ("design", "leverage", "default")
"""How a candidate can be chosen: drawn from G, by leverage where G leaves nothing, as a copy."""


def first_of(answers: Sequence[Hashable]) -> list[int]:
    """For each answer the first place where it stands: copies are one candidate."""
    return [answers.index(answer) for answer in answers]


def pick(
    first_C: Sequence[int],
    weight_C: Array,
    leverage_C: Array,
    *,
    natural: int,
    n: int,
    draws: np.random.Generator,
) -> tuple[list[int], list[str]]:
    """n candidates of one prompt, the first `natural` of them plain; and how each other was chosen.

    An answer that is there already is passed over while there are others.
    """
    picked, ways = list(range(natural)), []
    summed_C = np.bincount(first_C, weights=weight_C, minlength=len(first_C))
    while len(picked) < n:
        seen = {first_C[index] for index in picked}
        other = [index for index in sorted(set(first_C)) if index not in seen]
        if not other:
            picked.append(next(index for index in range(len(first_C)) if index not in picked))
            ways.append("default")
            continue
        share_R = summed_C[other]
        if share_R.sum() > 0:
            picked.append(other[int(draws.choice(len(other), p=share_R / share_R.sum()))])
            ways.append("design")
        else:
            picked.append(other[int(leverage_C[other].argmax())])
            ways.append("leverage")
    return picked, ways


def pairs_leverage(z_NR: Array, difference_PR: Array) -> float | None:
    """Largest z^T M^-1 z, M the mean of dz dz^T over pairs; None where pairs leave a direction."""
    moment_RR = difference_PR.T @ difference_PR / len(difference_PR)
    values = np.linalg.eigvalsh(moment_RR)
    if values[0] <= values[-1] * 1e-12:
        return None
    return float(np.einsum("nr,rn->n", z_NR, np.linalg.solve(moment_RR, z_NR.T)).max())


def uniform_leverage(z_NR: Array) -> float:
    """The largest leverage where every candidate weighs the same."""
    return float(leverages(z_NR, np.full(len(z_NR), 1 / len(z_NR))).max())
