"""Right over wrong: the pair of PACE, and of iterative DPO on verifiable answers."""

from collections.abc import Sequence
from typing import Literal

from align_cli.errors import RowError
from align_cli.pairing.contrast import in_order, pair, rights_and_wrongs
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def first_right_first_wrong(
    siblings: Sequence[Judged], *, prefer: Literal["natural", "corrected"]
) -> list[Pair]:
    """The first right completion over the first wrong one; a correction over what it corrects.

    No pair where all are right, or all wrong: there is no contrast, and a wrong answer is never
    chosen. At most one pair a prompt. Needs a verifier that says right or wrong.

    Source: contrastive pair construction of PACE (Rao et al. 2026, arXiv:2602.05370),
    reconstruction: that a correction meets the attempt it was made from is inferred.

    Settings:
        prefer: which right completion is chosen where an attempt and a correction are both right
            (with sampler.trigger=any_wrong): the attempt (natural) or the correction (corrected).
    """
    ordered = in_order(siblings)
    rights, wrongs = rights_and_wrongs("first_right_first_wrong", ordered)
    if not rights or not wrongs:
        return []
    preferred = [one for one in rights if one.completion.kind == prefer]
    chosen = (preferred or rights)[0]
    rejected = wrongs[0] if chosen.completion.corrects is None else _corrected(chosen, wrongs)
    return [pair(chosen, rejected)]


def _corrected(correction: Judged, wrongs: Sequence[Judged]) -> Judged:
    """The failed attempt that a correction was made from."""
    for one in wrongs:
        if one.completion.index == correction.completion.corrects:
            return one
    raise RowError(
        f"pairing: completion {correction.completion.prompt_id}/{correction.completion.index} "
        f"corrects attempt {correction.completion.corrects}, which is not among the wrong siblings "
        f"{[one.completion.index for one in wrongs]}"
    )
