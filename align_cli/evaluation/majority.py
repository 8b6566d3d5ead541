"""maj@k: whether the most frequent answer is right."""

from collections import defaultdict
from collections.abc import Sequence


def majority_right(votes: Sequence[tuple[str | None, bool]]) -> float | None:
    """Chance that the winner of a majority vote over these (answer, right) samples is right.

    Every sample votes for its answer; an answer that could not be read (None) is no vote, so it
    never wins. Answers that tie for most votes win with equal chance. Where no sample has a
    readable answer the vote is wrong: 0. None where there is no sample at all.

    Equal answers are equal texts, as the verifier normalised them. If samples of one answer are
    judged differently, the answer counts as right in their proportion.

    Source: self-consistency, Wang et al. 2022, arXiv:2203.11171, unweighted majority.
    """
    if not votes:
        return None
    rights_of: dict[str, list[bool]] = defaultdict(list)
    for answer, right in votes:
        if answer is not None:
            rights_of[answer].append(right)
    if not rights_of:
        return 0.0
    most = max(len(rights) for rights in rights_of.values())
    winners = [rights for rights in rights_of.values() if len(rights) == most]
    return sum(sum(rights) for rights in winners) / (most * len(winners))
