"""Curves and intervals as inline SVG; colours come from the page, so that it may be dark."""

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10

from align_cli.study.cells import briefs
from align_cli.study.comparison import CurvePoint
from align_cli.study.sentences import AXES, interval, short
from align_cli.study.statistics import Estimate

WIDTH, HEIGHT = 640, 470
LEFT, RIGHT, TOP, BOTTOM = 46, 136, 12, 42
COLOURS, SHAPES = 8, 4
NAME_LETTERS = 17


def colour(number: int) -> str:
    """The colour of the n-th cell; shapes and dashes go on where colours begin again."""
    return f"var(--c{number % COLOURS})"


def dashes(number: int) -> str:
    """Lines past the eighth are dashed."""
    return "" if number < COLOURS else ' stroke-dasharray="6 3"'


def marker(number: int, x: float, y: float, title: str = "") -> str:
    """A dot of the cell's own shape and colour."""
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"',
        f'<rect x="{x - 3.6:.1f}" y="{y - 3.6:.1f}" width="7.2" height="7.2"',
        f'<path d="M{x:.1f} {y - 4.8:.1f}l4.8 8.4h-9.6z"',
        f'<path d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"',
    )
    inside = f"<title>{escape(title)}</title>" if title else ""
    body = shapes[(number + number // COLOURS) % SHAPES]
    return f'{body} fill="{colour(number)}">{inside}</{body[1:].split()[0]}>'


def key(number: int) -> str:
    """The sample of a cell's line that stands beside its name in tables."""
    return (
        '<svg class="key" width="22" height="12" aria-hidden="true">'
        f'<path class="mean" d="M0 6H22" stroke="{colour(number)}"{dashes(number)}/>'
        f"{marker(number, 11, 6)}</svg>"
    )


class Scale:
    """From values to pixels, with round ticks."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self, about: int = 5) -> list[float]:
        """Multiples of 1, 2 or 5 within the scale."""
        step = round_step((self.high - self.low) / about)
        first = -floor(-self.low / step + 1e-9)
        last = floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def round_step(about: float) -> float:
    """The first of 1, 2, 5, 10 times a power of ten that is not below."""
    power = 10.0 ** floor(log10(about))
    return float(next(m for m in (1, 2, 5, 10) if m * power >= about - 1e-12) * power)


def curves(cells: Mapping[str, Sequence[CurvePoint]], axis: str, metric: str) -> str:
    """Mean over seeds by round against cost, thin lines by seed, bars for intervals."""
    points = [point for cell in cells.values() for point in cell]
    seeds = [seed for point in points for seed in point.by_seed.values()]
    x = Scale(0, max(cost[axis] for cost, _ in seeds), LEFT, WIDTH - RIGHT)
    values = [value for _, value in seeds] + [p.level.value for p in points]
    low, high = min(values), max(values)
    room = 0.06 * (high - low or 1)
    y = Scale(max(0, low - room), min(1, high + room), HEIGHT - BOTTOM, TOP)
    body = [*_grid(x, y, axis)]
    body += [_by_seed(n, cell, x, y, axis) for n, cell in enumerate(cells.values())]
    body += [_mean(n, name, cells[name], x, y, axis) for n, name in enumerate(cells)]
    ends = {name: (x(cell[-1].cost[axis]), y(cell[-1].level.value)) for name, cell in cells.items()}
    body += names_at(ends, briefs(list(cells)))
    label = f"{metric} against {AXES[axis]}, one line a cell"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{''.join(body)}</svg>"
    )


def _grid(x: Scale, y: Scale, axis: str) -> list[str]:
    lines = []
    for tick in y.ticks():
        at = y(tick)
        lines.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        text = f"{tick:.3f}".rstrip("0").rstrip(".") or "0"
        lines.append(f'<text x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    for tick in x.ticks():
        at, foot = x(tick), HEIGHT - BOTTOM
        lines.append(f'<path class="grid" d="M{at:.1f} {foot}v5"/>')
        text = short(tick)
        lines.append(f'<text x="{at:.1f}" y="{foot + 19}" text-anchor="middle">{text}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 5}" text-anchor="middle">'
        f"{AXES[axis]}, cumulative</text>"
    )
    return lines


def path(places: Sequence[tuple[float, float]]) -> str:
    """Straight from place to place."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _by_seed(number: int, cell: Sequence[CurvePoint], x: Scale, y: Scale, axis: str) -> str:
    lines = []
    for seed in cell[0].by_seed if cell else ():
        at = [(x(p.by_seed[seed][0][axis]), y(p.by_seed[seed][1])) for p in cell]
        lines.append(f'<path class="seed" d="{path(at)}" stroke="{colour(number)}"/>')
    return "".join(lines) if len(lines) > 1 else ""


def _mean(number: int, name: str, cell: Sequence[CurvePoint], x: Scale, y: Scale, axis: str) -> str:
    at = [(x(p.cost[axis]), y(p.level.value)) for p in cell]
    parts = [f'<path class="mean" d="{path(at)}" stroke="{colour(number)}"{dashes(number)}/>']
    for point, (px, py) in zip(cell, at, strict=True):
        low, high = max(point.level.low, y.low), min(point.level.high, y.high)
        bar = f"M{px:.1f} {y(low):.1f}V{y(high):.1f}"
        parts.append(f'<path class="bar" d="{bar}" stroke="{colour(number)}"/>')
        when = "before training" if point.round is None else f"after round {point.round}"
        title = f"{name}, {when}: {point.level.value:.3f} {interval(point.level)}, "
        title += f"{short(point.cost[axis])} {AXES[axis]}"
        parts.append(marker(number, px, py, title))
    return "".join(parts)


def names_at(ends: Mapping[str, tuple[float, float]], shown_as: Mapping[str, str]) -> list[str]:
    """Each line's name beside its end, pushed apart where lines end together."""
    placed_ends = sorted(
        (py, px, number, name) for number, (name, (px, py)) in enumerate(ends.items())
    )
    gap = min(15.0, (HEIGHT - BOTTOM - TOP) / max(1, len(placed_ends)))
    placed: list[float] = []
    for end, *_ in placed_ends:
        placed.append(max(end, placed[-1] + gap) if placed else end)
    over = max(0.0, placed[-1] - (HEIGHT - BOTTOM)) if placed else 0.0
    texts = []
    for (end, px, number, name), at in zip(placed_ends, placed, strict=True):
        to, left = at - over, WIDTH - RIGHT + 14
        lead = f"M{px + 6:.1f} {end:.1f}L{left - 3} {to:.1f}"
        texts.append(f'<path class="lead" d="{lead}" stroke="{colour(number)}"/>')
        shown = escape(_cut(shown_as[name]))
        texts.append(
            f'<text class="name" x="{left}" y="{to + 4:.1f}">{shown}'
            f"<title>{escape(name)}</title></text>"
        )
    return texts


def _cut(text: str) -> str:
    """What the margin holds of a name."""
    return text if len(text) <= NAME_LETTERS else f"{text[: NAME_LETTERS - 1]}\u2026"


def whisker(effect: Estimate, reach: float) -> str:
    """An effect and its interval beside zero; `reach` is the largest number on the shared scale."""
    at = Scale(-reach, reach, 4, 74)
    low, high = (at(min(max(value, -reach), reach)) for value in (effect.low, effect.high))
    return (
        '<svg width="78" height="16" aria-hidden="true">'
        f'<path class="zero" d="M{at(0):.1f} 0V16"/>'
        f'<path d="M{low:.1f} 8H{high:.1f}" stroke="currentColor" stroke-width="2"/>'
        f'<circle cx="{at(effect.value):.1f}" cy="8" r="4" fill="currentColor"/></svg>'
    )
