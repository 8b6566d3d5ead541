"""How a point of a grid is named, for whoever runs it and whoever compares it."""

from collections.abc import Mapping


def name_of(choices: Mapping[str, str]) -> str:
    """`draws=bo4 noise=clean`: axes in the order of the study."""
    return " ".join(f"{axis}={label}" for axis, label in choices.items())
