"""Ranges of numbers as they are written in annotations: `> 0`, `[0, 0.5)`."""

import re
from dataclasses import dataclass

NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|inf)"
ONE_SIDED = re.compile(rf"\s*(?P<sign>>=|<=|>|<)\s*(?P<bound>{NUMBER})\s*")
INTERVAL = re.compile(
    rf"\s*(?P<open>[\[(])\s*(?P<low>{NUMBER})\s*,\s*(?P<high>{NUMBER})\s*(?P<close>[\])])\s*"
)


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of numbers; the text is what the component's author wrote."""

    text: str
    low: float
    high: float
    low_included: bool
    high_included: bool

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.low_included else value > self.low
        below = value <= self.high if self.high_included else value < self.high
        return above and below


def read_range(text: str) -> Range | None:
    """The range that a text denotes, or None if it is no range (a unit, say)."""
    infinity = float("inf")
    if found := ONE_SIDED.fullmatch(text):
        sign, bound = found["sign"], float(found["bound"])
        low, high = (bound, infinity) if sign[0] == ">" else (-infinity, bound)
        return Range(text.strip(), low, high, sign == ">=" or low < bound, sign != "<")
    if found := INTERVAL.fullmatch(text):
        return Range(
            text.strip(),
            float(found["low"]),
            float(found["high"]),
            found["open"] == "[",
            found["close"] == "]",
        )
    return None
