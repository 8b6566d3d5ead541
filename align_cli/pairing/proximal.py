"""The nearest contrast: two answers that differ in little but the score."""

from collections.abc import Sequence

import numpy as np

from align_cli.pairing.contrast import contrasts, in_order, pair
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def proximal(siblings: Sequence[Judged], *, normalised: bool) -> list[Pair]:
    """Of all (i, j) with score_i > score_j, the one of smallest edit distance between token ids.

    One pair a prompt, lowest indices on equal distances. What two near answers do not share is
    where one goes wrong, so the loss's contrast falls on few tokens. A reconstruction of
    "proximal" pairs; not the proximal exploration of PACE.

    Settings:
        normalised: whether the distance is divided by the tokens of the longer one, which takes
            the advantage of short answers away.
    """

    def distance(contrast: tuple[Judged, Judged]) -> float:
        one, other = (each.completion.token_ids for each in contrast)
        edits = edit_distance(one, other)
        return edits / max(len(one), len(other)) if normalised else edits

    found = contrasts(in_order(siblings))
    return [pair(*min(found, key=distance))] if found else []


def edit_distance(one: Sequence[int], other: Sequence[int]) -> int:
    """Fewest insertions, deletions and substitutions of tokens that turn `one` into `other`.

    Source: Wagner and Fischer 1974, a row at a time: a run of insertions along a row is a running
    minimum once the column number is taken off. O(len(one)) steps on rows of len(other) + 1.
    """
    columns = np.arange(len(other) + 1)
    others = np.asarray(other, dtype=np.int64)
    row = columns.copy()
    for place, token in enumerate(one, start=1):
        reached = np.minimum(row[1:] + 1, row[:-1] + (others != token))
        row = np.minimum.accumulate(np.concatenate(([place], reached)) - columns) + columns
    return int(row[-1])
