"""What every pairing rule starts from, and the pair it ends in."""

from collections.abc import Sequence

import numpy as np

from align_cli.errors import AlignError, RowError
from align_cli.rows import Judged
from align_cli.seeds import uniforms
from align_cli.training_rows import Pair


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


def contrasts(ordered: Sequence[Judged]) -> list[tuple[Judged, Judged]]:
    """All (better, worse) with score(better) > score(worse), by index of better, then of worse."""
    return [(one, other) for one in ordered for other in ordered if score(one) > score(other)]


def rights_and_wrongs(rule: str, ordered: Sequence[Judged]) -> tuple[list[Judged], list[Judged]]:
    """Right and wrong siblings; one that the verifier only grades raises, naming the rule."""
    for one in ordered:
        if one.label.right is None:
            raise AlignError(
                f"pairing {rule}: completion {one.completion.prompt_id}/"
                f"{one.completion.index} has score {one.label.score} but is called neither right "
                "nor wrong; use pairing=best_worst with a verifier that only grades"
            )
    rights = [one for one in ordered if one.label.right]
    return rights, [one for one in ordered if not one.label.right]


def drawn(seed: int, count: int, *, step: int = 0) -> int:
    """A uniform number in 0 .. count - 1: the `step`-th of the prompt's own stream."""
    uniform = uniforms(np.array([seed], dtype=np.uint64), step)[0]
    return int(uniform * count)


def pair(chosen: Judged, rejected: Judged) -> Pair:
    """The preference `chosen` over `rejected`; a Pair refuses a tie or a reversed score."""
    return Pair(
        prompt_id=chosen.completion.prompt_id,
        chosen=chosen.completion.index,
        rejected=rejected.completion.index,
        margin=score(chosen) - score(rejected),
        kind=chosen.completion.kind,
    )
