"""What a setting may be: the annotation of a keyword-only parameter, read from its source."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from align_cli.config.ranges import Range


class Mismatch(Exception):
    """A value that is not of its kind; the message says what was wanted."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a setting, with the ranges and the unit that its annotation names."""

    name: str
    """float, int, str, bool, None, Any, Literal, list, tuple, dict or union."""
    parts: tuple["Kind", ...] = ()
    """Members of a union, items of a tuple or list, (key, value) of a dict."""
    choices: tuple[str | int | bool | None, ...] = ()
    """What a Literal lists."""
    open_ended: bool = False
    """A tuple of any length: `tuple[str, ...]`."""
    ranges: tuple[Range, ...] = ()
    unit: str = ""

    def __str__(self) -> str:
        if self.name == "Literal":
            return " | ".join(repr(choice) for choice in self.choices)
        inner = [str(part) for part in self.parts]
        if self.name == "union":
            return " | ".join(inner)
        if self.open_ended:
            inner.append("...")
        return f"{self.name}[{', '.join(inner)}]" if inner else self.name

    def limited(self, ranges: tuple[Range, ...], unit: str) -> "Kind":
        """The same kind with the extra words of an `Annotated`, handed down to its parts."""
        parts = tuple(part.limited(ranges, "") for part in self.parts)
        return replace(self, parts=parts, ranges=self.ranges + ranges, unit=unit or self.unit)

    def fit(self, value: Any) -> Any:
        """The value as the function wants it (a tuple for a list, 1.0 for 1), or `Mismatch`."""
        return FITTERS[self.name](self, value)


def union(parts: list[Kind]) -> Kind:
    """One kind out of alternatives; nested unions are flattened."""
    flat = [each for part in parts for each in (part.parts if part.name == "union" else (part,))]
    return flat[0] if len(flat) == 1 else Kind("union", parts=tuple(flat))


def _wanted(kind: Kind, value: Any) -> Mismatch:
    described = f"{value!r} ({type(value).__name__})" if value is not None else "null"
    return Mismatch(f"got {described}, wanted {kind}")


def _in_range(kind: Kind, value: float) -> float:
    for limit in kind.ranges:
        if value not in limit:
            unit = f" [{kind.unit}]" if kind.unit else ""
            raise Mismatch(f"got {value!r}, wanted {kind} {limit.text}{unit}")
    return value


def _float(kind: Kind, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wanted(kind, value)
    return _in_range(kind, float(value))


def _int(kind: Kind, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wanted(kind, value)
    _in_range(kind, value)
    return value


def _exactly(wanted: type) -> Callable[[Kind, Any], Any]:
    def fit(kind: Kind, value: Any) -> Any:
        if not isinstance(value, wanted):
            hint = "; quote it to make it text" if wanted is str and value is not None else ""
            raise Mismatch(f"{_wanted(kind, value)}{hint}")
        return value

    return fit


def _literal(kind: Kind, value: Any) -> Any:
    for choice in kind.choices:
        if type(choice) is type(value) and choice == value:
            return value
    raise Mismatch(f"got {value!r}, wanted one of {', '.join(repr(c) for c in kind.choices)}")


def _sequence(kind: Kind, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _wanted(kind, value)
    if kind.name == "tuple" and not kind.open_ended:
        if len(value) != len(kind.parts):
            raise _wanted(kind, list(value))
        return [part.fit(item) for part, item in zip(kind.parts, value, strict=True)]
    return [kind.parts[0].fit(item) for item in value] if kind.parts else list(value)


def _dict(kind: Kind, value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _wanted(kind, value)
    if not kind.parts:
        return dict(value)
    key, item = kind.parts
    return {key.fit(name): item.fit(content) for name, content in value.items()}


def _union(kind: Kind, value: Any) -> Any:
    refusals = []
    for part in kind.parts:
        try:
            return part.fit(value)
        except Mismatch as refusal:
            refusals.append(str(refusal))
    # A value of the right type and the wrong size is told its range, not the list of types.
    sized = [text for text in refusals if "(" + type(value).__name__ + ")" not in text]
    if sized and value is not None:
        raise Mismatch(sized[0])
    raise _wanted(kind, value)


FITTERS: dict[str, Callable[[Kind, Any], Any]] = {
    "float": _float,
    "int": _int,
    "str": _exactly(str),
    "bool": _exactly(bool),
    "None": _exactly(type(None)),
    "Any": lambda kind, value: value,
    "Literal": _literal,
    "list": _sequence,
    "tuple": lambda kind, value: tuple(_sequence(kind, value)),
    "dict": _dict,
    "union": _union,
}
