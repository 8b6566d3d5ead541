"""Lines of an exact study as inline SVG, on linear or logarithmic axes."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

from align_cli.lab.reading import Figure, Point
from align_cli.study.drawing import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    colour,
    dashes,
    marker,
    names_at,
    path,
)
from align_cli.study.exact.numbers import shown

FLOOR = 1e-16
"""Where a logarithmic axis ends: what is below is rounding, and is drawn there."""


class Axis:
    """From values to pixels; on a logarithmic axis ticks are powers of ten."""

    def __init__(self, values: Sequence[float], log: bool, start: float, end: float) -> None:
        self._log = log
        placed = [self._of(value) for value in values]
        low, high = min(placed), max(placed)
        room = 0.04 * (high - low or 1)
        self._scale = Scale(low - room, high + room, start, end)

    def _of(self, value: float) -> float:
        return log10(max(value, FLOOR)) if self._log else value

    def __call__(self, value: float) -> float:
        return self._scale(self._of(value))

    def ticks(self) -> list[float]:
        """Where lines of the grid are."""
        if not self._log:
            return self._scale.ticks()
        first, last = ceil(self._scale.low), floor(self._scale.high)
        if last - first < 1:
            return [10.0**tick for tick in self._scale.ticks(4)]
        step = max(1, ceil((last - first) / 7))
        return [10.0**power for power in range(first, last + 1, step)]


def lines(figure: Figure) -> str:
    """The whole figure."""
    drawn = {name: points for name, points in figure.lines.items() if points}
    every = [point for points in drawn.values() for point in points]
    reach = [end for p in every for end in (p.y, p.low, p.high) if end is not None]
    x = Axis([point.x for point in every], figure.log_x, LEFT, WIDTH - RIGHT)
    y = Axis([*reach, *figure.levels.values()], figure.log_y, HEIGHT - BOTTOM, TOP)
    body = [*_grid(figure, x, y), *_levels(figure.levels, y)]
    body += [_line(number, name, drawn[name], x, y) for number, name in enumerate(drawn)]
    ends = {name: (x(points[-1].x), y(points[-1].y)) for name, points in drawn.items()}
    body += names_at(ends, {name: name for name in ends})
    label = escape(f"{figure.title}: {figure.y} against {figure.x}", quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(body)}</svg>'
    )


def _grid(figure: Figure, x: Axis, y: Axis) -> list[str]:
    found = []
    for tick in y.ticks():
        at = y(tick)
        found.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        found.append(
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_tick(tick)}</text>'
        )
    foot = HEIGHT - BOTTOM
    for tick in x.ticks():
        found.append(f'<path class="grid" d="M{x(tick):.1f} {foot}v5"/>')
        found.append(
            f'<text x="{x(tick):.1f}" y="{foot + 19}" text-anchor="middle">{_tick(tick)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    found.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 5}" text-anchor="middle">{escape(figure.x)}</text>'
    )
    found.append(f'<text x="{LEFT + 6}" y="{TOP + 8}">{escape(figure.y)}</text>')
    return found


def _tick(value: float) -> str:
    return f"{value:.0e}" if value and not 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def _levels(levels: Mapping[str, float], y: Axis) -> list[str]:
    found = []
    for name, height in levels.items():
        at = y(height)
        found.append(f'<path class="zero" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        found.append(f'<text x="{LEFT + 6}" y="{at - 4:.1f}">{escape(name)}</text>')
    return found


def _line(number: int, name: str, points: Sequence[Point], x: Axis, y: Axis) -> str:
    at = [(x(point.x), y(point.y)) for point in points]
    parts = [f'<path class="mean" d="{path(at)}" stroke="{colour(number)}"{dashes(number)}/>']
    for point, (px, py) in zip(points, at, strict=True):
        if point.low is not None and point.high is not None:
            bar = f"M{px:.1f} {y(point.low):.1f}V{y(point.high):.1f}"
            parts.append(f'<path class="bar" d="{bar}" stroke="{colour(number)}"/>')
        parts.append(marker(number, px, py, f"{name}, at {shown(point.x)}: {shown(point.y)}"))
    return "".join(parts)
