"""How a number grows with another, as the exponent of a power."""

from collections.abc import Sequence

import numpy as np


def slope(size: Sequence[float], error: Sequence[float]) -> float:
    """d log error / d log size, by least squares."""
    return float(np.polyfit(np.log(size), np.log(error), 1)[0])
