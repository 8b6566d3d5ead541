"""What every pairing rule starts from, and the pair it ends in."""

from collections.abc import Sequence

from align_cli.errors import RowError
from align_cli.rows import Judged, Pair


def in_order(siblings: Sequence[Judged]) -> list[Judged]:
    """One prompt's siblings by index, so that no rule depends on the order of rows.

    An unscored sibling, or one of another prompt, raises: neither is ever compared.
    """
    ordered = sorted(siblings, key=lambda one: one.completion.index)
    if len({one.completion.prompt_id for one in ordered}) > 1:
        ids = sorted({one.completion.prompt_id for one in ordered})
        raise RowError(f"pairing: siblings of several prompts, {ids}; give one prompt's at a time")
    for one in ordered:
        score(one)
    return ordered


def score(one: Judged) -> float:
    """The score of a judged sibling [verifier's unit]; an unscored one raises."""
    if one.label.score is None:
        raise RowError(
            f"pairing: completion {one.label.prompt_id}/{one.label.index} is unscored "
            f"({one.label.verdict}: {one.label.detail}); only judged siblings are paired"
        )
    return one.label.score


def pair(chosen: Judged, rejected: Judged) -> Pair:
    """The preference `chosen` over `rejected`; a Pair refuses a tie or a reversed score."""
    return Pair(
        prompt_id=chosen.completion.prompt_id,
        chosen=chosen.completion.index,
        rejected=rejected.completion.index,
        margin=score(chosen) - score(rejected),
        kind=chosen.completion.kind,
    )
