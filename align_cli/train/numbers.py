"""Numbers of a batch, each with the weight it has when batches are put together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

Numbers = Mapping[str, tuple[float, float]]
"""{name: (mean, over how many)}; what a batch does not tell is not in it."""


def mean(values: Tensor, weights: Tensor | None = None) -> float:
    """The mean in float64, detached; weighted, where examples have weights."""
    wide = values.detach().double()
    return float(wide.mean() if weights is None else (weights * wide).sum() / weights.sum())


@dataclass
class Means:
    """Means over everything that was added."""

    _sums: dict[str, float] = field(default_factory=dict)
    _weights: dict[str, float] = field(default_factory=dict)

    def add(self, numbers: Numbers) -> None:
        """Count a batch in, by its own weights."""
        for name, (value, weight) in numbers.items():
            if weight:
                self._sums[name] = self._sums.get(name, 0.0) + value * weight
                self._weights[name] = self._weights.get(name, 0.0) + weight

    def named(self, prefix: str) -> dict[str, float]:
        """{prefix/name: mean}, for every name that has any weight."""
        return {f"{prefix}/{name}": s / self._weights[name] for name, s in self._sums.items()}
