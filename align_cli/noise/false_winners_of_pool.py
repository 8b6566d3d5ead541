"""The same prediction from counted answers, where a prompt's chance is not known but estimated."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One prompt's answers by the verifier without noise.

    Example:
        Counted(right=3, answers=16)
    """

    right: int
    answers: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.answers:
            raise ValueError(f"{self.right} right of {self.answers} answers")


@dataclass(frozen=True, slots=True)
class Expected:
    """What best-of-n makes of some prompts."""

    pairs: float
    """Expected pairs."""
    wrong: float
    """Expected pairs whose chosen answer is wrong."""

    @property
    def wrong_share(self) -> float | None:
        """Wrong winners over pairs; None where no pair is to be expected."""
        return self.wrong / self.pairs if self.pairs > 0 else None


def expected_pairs(
    prompts: Sequence[Counted], n: int, *, false_positive: float, false_negative: float = 0.0
) -> Expected:
    """Expected pairs and wrong winners of best-of-n under first_right_first_wrong.

    n of a prompt's M answers, c of them right, drawn without replacement; k of the n are right,
    i of these and j of the n - k wrong ones are called right:

        k ~ Hypergeometric(M, c, n),   i ~ Binomial(k, 1 - d),   j ~ Binomial(n - k, e)
        pair iff 0 < i + j < n;   P(the chosen one is wrong | i, j) = j / (i + j)

    Both sums are unbiased for other answers of the same prompts, whatever their chances: as pass@k
    from n > k samples is. Putting c / M for the chance in `chosen_wrong_share` is not: the share
    of wrong winners is convex in the chance, so that a coarse c / M predicts too many.

    Needs n <= M for every prompt. Answers of one kind only, as there.

    Source: as for false_winners; the estimate in the manner of Chen et al. 2021, arXiv:2107.03374.
    """
    if n < 1 or any(prompt.answers < n for prompt in prompts):
        raise ValueError(f"n = {n}: wanted 1 or more, and no more than the answers of each prompt")
    pairs = wrong = 0.0
    for prompt in prompts:
        missed = prompt.answers - prompt.right
        for k in range(max(0, n - missed), min(n, prompt.right) + 1):
            chance = comb(prompt.right, k) * comb(missed, n - k) / comb(prompt.answers, n)
            some = _given(k, n, false_positive, false_negative)
            pairs += chance * some.pairs
            wrong += chance * some.wrong
    return Expected(pairs, wrong)


def _given(k: int, n: int, high: float, low: float) -> Expected:
    """Of n answers of which k are right."""
    pairs = wrong = 0.0
    for i in range(k + 1):
        for j in range(n - k + 1):
            if 0 < i + j < n:
                chance = _binomial(i, k, 1 - low) * _binomial(j, n - k, high)
                pairs += chance
                wrong += chance * j / (i + j)
    return Expected(pairs, wrong)


def _binomial(k: int, n: int, chance: float) -> float:
    return comb(n, k) * chance**k * (1 - chance) ** (n - k)
