"""How small an effect a study can find, before it has run."""

from math import sqrt
from statistics import NormalDist

FORMULA = (
    "(z(1 - alpha / (2 comparisons)) + z(power)) sqrt(2 p (1 - p) / n), "
    "normal approximation; n between items (every seed decides an item alike) and items x seeds"
)


def detectable_effect(
    answers: float, *, accuracy: float = 0.5, comparisons: int = 1, alpha: float = 0.05,
    power: float = 0.8,
) -> float:  # fmt: skip
    """The difference of two accuracies that is found with probability `power`.

        MDE = (z(1 - alpha / (2 C)) + z(power)) sqrt(2 p (1 - p) / n)

    with z the standard normal quantile, C comparisons (the strictest of Holm's tests), p the
    accuracy and n independent answers a cell. Pairing by item can only sharpen it; luck that all
    items of a seed share is not in it.
    """
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - alpha / (2 * comparisons)) + normal.inv_cdf(power)
    return quantiles * sqrt(2 * accuracy * (1 - accuracy) / answers)
