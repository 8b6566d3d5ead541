"""False winners of best-of-N under a noisy verifier: predicted, and drawn."""

import numpy as np
from scipy.special import roots_jacobi

from align_cli.lab.experiment import Measurement
from align_cli.noise.false_winners import (
    Difficulty,
    chosen_wrong_share,
    false_winner_chance,
    pair_chance,
)
from align_cli.seeds import derive

NODES = 200
"""Of the quadrature over a Beta distribution."""


def mixture(*, a: float, b: float, false_positive: float) -> list[Difficulty]:
    """Prompts whose chance of a right answer is Beta(a, b), as the nodes of Gauss-Jacobi."""
    node_N, weight_N = roots_jacobi(NODES, b - 1, a - 1)
    return [
        Difficulty(right=float((1 + x) / 2), false_positive=false_positive, prompts=float(w))
        for x, w in zip(node_N, weight_N, strict=True)
    ]


def predicted_by_n(
    *, n: list[int], right: list[float], false_positive: float, beta_a: float, beta_b: float
) -> list[Measurement]:
    """What is expected of best-of-N, by N.

    `listed`, `beta`: share of chosen answers that are wrong, over prompts of the difficulties
    listed, as many of each, and of Beta difficulties; `pair P`, `false P`: of one difficulty P, the
    chance of a pair and of a wrong winner.
    """
    parts = [Difficulty(right=p, false_positive=false_positive) for p in right]
    spread = mixture(a=beta_a, b=beta_b, false_positive=false_positive)
    found = []
    for many in n:
        seen = {
            "listed": chosen_wrong_share(parts, many),
            "beta": chosen_wrong_share(spread, many),
            **{f"pair {part.right:g}": pair_chance(part, many) for part in parts},
            **{f"false {part.right:g}": false_winner_chance(part) for part in parts},
        }
        found += [
            Measurement(quantity=name, at=many, seed=None, value=value)
            for name, value in seen.items()
            if value is not None
        ]
    return found


def drawn_share(
    *, n: int, right: list[float], false_positive: float, prompts: int, seeds: int
) -> list[Measurement]:
    """`share` by seed: wrong winners over pairs, of drawn answers and verdicts.

    Each prompt's n answers are right by its chance, called right by the verifier, and the first
    that is called right is chosen where another is called wrong.
    """
    chance_P1 = np.repeat(np.array(right), prompts)[:, None]
    found = []
    for seed in range(seeds):
        draws = np.random.default_rng(derive("lab false winners", seed, n))
        right_PN = draws.random((len(chance_P1), n)) < chance_P1
        called_PN = right_PN | (draws.random(right_PN.shape) < false_positive)
        pair_P = called_PN.any(1) & ~called_PN.all(1)
        if not pair_P.any():
            continue
        first_P = called_PN.argmax(1)
        wrong_P = ~right_PN[np.arange(len(first_P)), first_P]
        share = float(wrong_P[pair_P].mean())
        found.append(Measurement(quantity="share", at=n, seed=seed, value=share))
    return found
