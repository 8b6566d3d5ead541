"""Pairs of one kind alone: attempts without corrections, or corrections by themselves."""

from collections.abc import Sequence
from typing import Literal

from align_cli.pairing.contrast import in_order
from align_cli.pairing.first_right_first_wrong import first_right_first_wrong
from align_cli.rows import Judged
from align_cli.training_rows import Pair


def one_kind(
    siblings: Sequence[Judged], *, kind: Literal["natural", "corrected"]
) -> list[Pair] | Literal["no_correction"]:
    """Right over wrong, both natural; or a right correction over the attempt it corrects.

    At most one pair a prompt, first index first, as pairing=first_right_first_wrong; the ablations
    of PACE (Rao et al. 2026, arXiv:2602.05370), reconstruction. Needs a verifier that says right
    or wrong.

    Settings:
        kind: natural leaves corrections out; corrected leaves out right attempts, so that every
            pair is a correction (no_correction where the prompt has no right one).
    """
    ordered = in_order(siblings)
    if kind == "natural":
        attempts = [one for one in ordered if one.completion.kind == "natural"]
        return first_right_first_wrong(attempts, prefer="natural")
    # A natural answer that is right can only be chosen, a grade without verdict must be refused.
    kept = [one for one in ordered if one.completion.kind == kind or not one.label.right]
    return first_right_first_wrong(kept, prefer="corrected") or "no_correction"
