"""What a noisy verifier does to best-of-N pairs, predicted: the share of winners that are wrong."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """Prompts that are alike: how often an answer is right, and how the verifier errs on it.

    Example:
        Difficulty(right=0.03, false_positive=0.1, prompts=40)
    """

    right: float
    """p: chance that one sampled answer is truly right, in [0, 1]."""
    false_positive: float
    """e: chance that a wrong answer is called right, in [0, 1]."""
    false_negative: float = 0.0
    """d: chance that a right answer is called wrong, in [0, 1]."""
    prompts: float = 1.0
    """How many there are, or their share; only the proportions matter."""

    def __post_init__(self) -> None:
        for name in ("right", "false_positive", "false_negative"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.prompts < 0:
            raise ValueError(f"prompts must be >= 0, got {self.prompts}")


def said_right(part: Difficulty) -> float:
    """Chance that one answer is called right: a = p (1 - d) + (1 - p) e."""
    p = part.right
    return p * (1 - part.false_negative) + (1 - p) * part.false_positive


def pair_chance(part: Difficulty, n: int) -> float:
    """Chance that n answers hold one called right and one called wrong, so that there is a pair.

    With k of n called right, k ~ Binomial(n, a):

        w_n = sum_{k=1}^{n-1} C(n, k) a^k (1 - a)^(n - k) = 1 - (1 - a)^n - a^n
    """
    if n < 1:
        raise ValueError(f"n must be >= 1, got {n}")
    a = said_right(part)
    return 1.0 - (1.0 - a) ** n - a**n


def false_winner_chance(part: Difficulty) -> float | None:
    """Chance that an answer called right is wrong: (1 - p) e / a. None if none is called right.

    It is that of the chosen answer too, at every n: which answer is chosen, and whether there is a
    pair at all, follows from what was said of the n answers, and given what is said of it an
    answer's truth does not depend on the others.
    """
    a = said_right(part)
    return (1 - part.right) * part.false_positive / a if a > 0 else None


def chosen_wrong_share(parts: Sequence[Difficulty], n: int) -> float | None:
    """Expected wrong winners over expected pairs, best-of-n with pairing first_right_first_wrong.

        share_n = sum_x m_x w_n(x) F(x) / sum_x m_x w_n(x),   F = (1 - p) e / a

    over difficulties x of m_x prompts. Within one difficulty it is F at every n. Over a mixture
    it moves with n, because pairs do: a hard prompt (F near 1) rarely yields one from two answers
    and often from sixteen. The same holds for pairing=best_worst with scores 0 and 1. None where
    no pair is to be expected.

    Answers are independent given the prompt and all of one kind (no corrections); prompts of one
    `Difficulty` share p exactly. Where p varies between them, give a `Difficulty` per prompt: a
    mean p in its place predicts too few. Where p is not known but counted, use
    `false_winners_of_pool`.

    Source: selection under a defective verifier as in PACE (Rao et al. 2026, arXiv:2602.05370);
    the formulas are a reconstruction, not the paper's own statement.
    """
    pairs = wrong = 0.0
    for part in parts:
        chance = false_winner_chance(part)
        if chance is None:
            continue
        expected = part.prompts * pair_chance(part, n)
        pairs += expected
        wrong += expected * chance
    return wrong / pairs if pairs > 0 else None
