"""What a better verifier says of the best of n, chosen by the one that is trained on."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

from align_cli.rows import Judged


@dataclass(frozen=True, slots=True)
class Twice:
    """One answer's two scores."""

    prompt_id: str
    score: float
    """By the verifier that is trained on [its unit]."""
    audited: float
    """By the other one: its score, or 1 and 0 where it says right and wrong."""


def best_of(answers: Sequence[Twice]) -> dict[int, tuple[float, float]]:
    """{n: (mean score, mean audited score) of the best of n by score}, n = 1, 2, 4, ...

    Of a prompt's M answers, n drawn without replacement; the highest score wins, equals evenly.
    With c(v) answers of score up to v and a(v) the mean audited score of those of score v:

        P(v wins) = (C(c(v), n) - C(c(below v), n)) / C(M, n)
        mean      = sum over v of P(v wins) v,   audited mean = sum over v of P(v wins) a(v)

    Both are unbiased for other answers of the same prompts, as pass@k is (Chen et al. 2021,
    arXiv:2107.03374). n goes up to the fewest answers that any of the prompts has, so that every
    n is over the same prompts: the gap between the columns is what selection makes of the first
    verifier's errors (over-optimisation).
    """
    by_prompt: dict[str, list[Twice]] = defaultdict(list)
    for one in answers:
        by_prompt[one.prompt_id].append(one)
    found: dict[int, tuple[float, float]] = {}
    for n in _powers(min(map(len, by_prompt.values()), default=0)):
        means = [_best(prompt, n) for prompt in by_prompt.values()]
        found[n] = tuple(sum(side) / len(means) for side in zip(*means, strict=True))
    return found


def _powers(most: int) -> Iterator[int]:
    n = 1
    while n <= most:
        yield n
        n *= 2


def _best(answers: Sequence[Twice], n: int) -> tuple[float, float]:
    score = audited = 0.0
    below = 0
    for level in sorted({one.score for one in answers}):
        here = [one.audited for one in answers if one.score == level]
        upto = below + len(here)
        chance = (comb(upto, n) - comb(below, n)) / comb(len(answers), n)
        score += chance * level
        audited += chance * sum(here) / len(here)
        below = upto
    return score, audited


def is_plain(one: Judged) -> bool:
    """An independent draw of the present policy from the prompt itself."""
    row = one.completion
    return row.kind == "natural" and (row.author, row.messages, row.continues) == (
        "current", None, None,
    )  # fmt: skip
