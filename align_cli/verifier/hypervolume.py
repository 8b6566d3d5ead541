"""The hypervolume of a set of reward vectors above a reference point, exact up to three rewards."""

from collections.abc import Sequence

Point = tuple[float, ...]
MOST = 3
"""Rewards; beyond that exact volumes want another algorithm."""


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume of all x with reference <= x <= p in every reward for at least one point p.

        HV(P) = volume of the union over p in P of the boxes [reference, p]

    A point that is not above the reference in every reward adds nothing. Swept along the last
    reward: between two of its values the cross-section is a hypervolume of one reward less.
    O(n log n) for two rewards, O(n^2 log n) for three.
    """
    if not 1 <= len(reference) <= MOST:
        raise ValueError(f"hypervolume of {len(reference)} rewards; wanted 1 to {MOST}")
    above = [p for p in points if all(x > z for x, z in zip(p, reference, strict=True))]
    if not above:
        return 0.0
    if len(reference) == 1:
        return max(above)[0] - reference[0]
    heights = sorted({p[-1] for p in above}, reverse=True)
    total = 0.0
    for height, floor in zip(heights, [*heights[1:], reference[-1]], strict=True):
        section = [p[:-1] for p in above if p[-1] >= height]
        total += (height - floor) * hypervolume(section, reference[:-1])
    return total
