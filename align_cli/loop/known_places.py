"""Where log-probs that stand still while a round trains are kept, without what computes them."""

from typing import Literal, NamedTuple


class Place(NamedTuple):
    """One table of such log-probs."""

    place: str
    """In the round's folder."""
    under: Literal["reference", "start"]
    """Whose log-probs: the round's reference's, or those of the policy that enters the round."""
    rows: str
    """The type of its rows; tables of one type under one policy are one table."""


KNOWN = {
    "ref_pairs": Place("4_reference", "reference", "PairReference"),
    "ref_tokens": Place("4_reference_tokens", "reference", "PairTokenReference"),
    "start_pairs": Place("4_start", "start", "PairReference"),
    "ref_groups": Place("4_reference", "reference", "GroupReference"),
    "mismatch_logratio_G": Place("4_mismatch", "reference", "MismatchReference"),
}
"""{parameter of a loss: its table}, in the order in which they are computed."""
