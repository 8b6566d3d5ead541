"""Features in fewer dimensions: a design over d of them has some d (d + 1) / 2 answers to show."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from align_cli.errors import AlignError

Array = npt.NDArray[np.float64]
ProjectionName = Literal["pca", "random"]

SEEN = 1e-4
"""Spread of a direction, in shares of the largest: hidden states in float32 tell no less apart."""


def pca(row_NH: Array, dimensions: int, draws: np.random.Generator) -> Array:
    """[H, D] the D directions in which the rows, centred already, differ most."""
    _, _, direction_RH = np.linalg.svd(row_NH, full_matrices=False)
    kept: Array = direction_RH[:dimensions].T
    return kept


def gaussian(row_NH: Array, dimensions: int, draws: np.random.Generator) -> Array:
    """[H, D] of normal numbers / sqrt(D): lengths and angles roughly stay."""
    normal_HD = draws.normal(size=(row_NH.shape[1], dimensions))
    scaled: Array = normal_HD / np.sqrt(dimensions)
    return scaled


PROJECTIONS: Final[Mapping[str, Callable[[Array, int, np.random.Generator], Array]]] = {
    "pca": pca,
    "random": gaussian,
}


def projected(
    row_NH: Array, projection: ProjectionName, dimensions: int, draws: np.random.Generator
) -> Array:
    """[N, R] orthonormal columns that span what is left of the rows, R <= dimensions.

    Designs and leverages are the same in any basis of a span. A direction of hardly any spread
    (below 1e-4 of the largest) is rounding, and is left out.
    """
    if dimensions < row_NH.shape[1]:
        row_NH = row_NH @ PROJECTIONS[projection](row_NH, dimensions, draws)
    left_NR, value_R, _ = np.linalg.svd(row_NH, full_matrices=False)
    if not value_R.max(initial=0) > 0:
        raise AlignError(
            f"sampler g_optimal: all {len(row_NH)} candidates have their prompt's mean features; "
            "no pair of them can teach anything; raise sampler.temperature or sampler.candidates"
        )
    kept: Array = left_NR[:, value_R > SEEN * value_R.max()]
    return kept
