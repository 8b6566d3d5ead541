"""The best of one source against another source: corrections, or draws of the reference policy."""

from collections.abc import Sequence
from typing import Literal

from align_cli.pairing.contrast import in_order, pair, score
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def best_against_other(
    siblings: Sequence[Judged],
    *,
    by: Literal["kind", "author"],
    other: Literal["best", "first", "worst"],
) -> list[Pair] | Literal["one_source", "tied_sources"]:
    """The best of the current policy's own draws against one of another source.

    One pair a prompt; whichever has the higher score is chosen, so the other source may win. No
    pair where a source gave nothing that was judged (one_source), or both have one score
    (tied_sources).

    Source: max-max-contrast (by=kind) is a reconstruction: the best natural answer against the best
    correction. The pair of the current policy with the reference (by=author) is that of XPO
    (Xie et al. 2024, arXiv:2405.21046) and of DPO-Mix-P, reconstruction: there each side is one
    draw and none is the best of several.

    Settings:
        by: what tells the sources apart: natural or corrected (kind), or whether the reference
            policy wrote it (author).
        other: which of the other source's answers is the opponent: its best, its first by index,
            or its worst; first index on ties.
    """
    ordered = in_order(siblings)
    theirs = [one for one in ordered if _is_other(one, by)]
    ours = [one for one in ordered if not _is_other(one, by)]
    if not ours or not theirs:
        return "one_source"
    best = max(ours, key=score)
    opponents = {
        "best": max(theirs, key=score),
        "first": theirs[0],
        "worst": min(theirs, key=score),
    }
    opponent = opponents[other]
    if score(best) == score(opponent):
        return "tied_sources"
    return [pair(best, opponent) if score(best) > score(opponent) else pair(opponent, best)]


def _is_other(one: Judged, by: Literal["kind", "author"]) -> bool:
    if by == "kind":
        return one.completion.kind == "corrected"
    return one.completion.author == "reference"
