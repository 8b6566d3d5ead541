"""What a study may spend, as a whole and for each value of an axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from align_cli.config.nearest import listed, meant
from align_cli.errors import ConfigError


@dataclass(frozen=True)
class Spent:
    """Tokens generated and hours computed; None is unknown."""

    tokens: float | None = 0.0
    hours: float | None = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """At least so much: what is unknown adds nothing that is known."""
        return Spent(
            (self.tokens or 0.0) + (other.tokens or 0.0), (self.hours or 0.0) + (other.hours or 0.0)
        )


@dataclass(frozen=True)
class Limit:
    """A ceiling; None is none."""

    tokens: float | None = None
    """Generated, for training and evaluation."""
    hours: float | None = None
    """Of computing: two cells at once for an hour are two hours."""

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self.tokens is not None or self.hours is not None

    def exceeded_by(self, spent: Spent) -> str | None:
        """Which ceiling `spent` would break, in words; what is unknown breaks none."""
        for unit in ("tokens", "hours"):
            ceiling, amount = getattr(self, unit), getattr(spent, unit)
            if ceiling is not None and amount is not None and amount > ceiling:
                return f"{amount:,.4g} {unit} of {ceiling:,.4g}"
        return None


@dataclass(frozen=True)
class Budget:
    """The ceilings of a study."""

    whole: Limit = field(default_factory=Limit)
    per: Mapping[str, Limit] = field(default_factory=dict)
    """{axis: ceiling of each of its values}"""

    def as_values(self) -> dict[str, Any]:
        """As a study file has it."""
        per = {axis: _values(limit) for axis, limit in self.per.items()}
        return {**_values(self.whole), **({"per": per} if per else {})}


def read_budget(values: Any, where: str, axes: Sequence[str]) -> Budget:
    """`{tokens: 2e6, hours: 1.5, per: {AXIS: {tokens: 1e6}}}`, all optional."""
    whole = _limit(values, where, ("tokens", "hours", "per"))
    per = values.get("per", {})
    if not isinstance(per, Mapping):
        raise ConfigError(f"{where}.per: got {per!r}, wanted AXIS: {{tokens: NUMBER}}")
    for axis in per:
        if axis not in axes:
            raise ConfigError(
                f"{where}.per.{axis}: no such axis{meant(str(axis), axes)}; "
                f"the axes are {listed(axes)}"
            )
    units = ("tokens", "hours")
    return Budget(whole, {str(a): _limit(v, f"{where}.per.{a}", units) for a, v in per.items()})


def _limit(values: Any, where: str, keys: Sequence[str]) -> Limit:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: got {values!r}, wanted {{tokens: NUMBER, hours: NUMBER}}")
    for key in values:
        if key not in keys:
            raise ConfigError(f"{where}.{key}: no such key{meant(str(key), keys)}; "
                              f"the keys are {listed(keys)}")  # fmt: skip
    for unit in ("tokens", "hours"):
        value = values.get(unit)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and value > 0):
            raise ConfigError(f"{where}.{unit}: got {value!r}, wanted a number above 0")
    return Limit(values.get("tokens"), values.get("hours"))


def _values(limit: Limit) -> dict[str, float]:
    pairs = {"tokens": limit.tokens, "hours": limit.hours}
    return {unit: value for unit, value in pairs.items() if value is not None}
