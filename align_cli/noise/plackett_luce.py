"""Preferences drawn by Bradley-Terry: the noise of comparisons between siblings."""

import math
from dataclasses import replace
from typing import Annotated

import numpy as np

from align_cli.rows import Label
from align_cli.seeds import derive, uniforms

STEP = 2.0**-53
"""Of the grid of uniforms: one that is 0, and has no logarithm, counts as this."""


def plackett_luce(
    label: Label, seed: int, *, temperature: Annotated[float, "> 0", "score units"]
) -> Label:
    """Add Gumbel noise to the score, so that siblings are ranked by a draw of Plackett and Luce.

        score' = score + temperature G,   G = -log(-log u)   standard Gumbel
        P(score'(y) > score'(y')) = sigmoid((score(y) - score(y')) / temperature)
        P(y is best of all)       = exp(score(y) / temperature) / sum over siblings

    The difference of two Gumbels is logistic, so a pair of two siblings is exactly a Bradley-Terry
    comparison; a ranking of more is one draw of all of it, and pairs taken from it are not
    independent. A margin of such a pair holds the noise and is no reward. Verdicts right and wrong
    stay as they are, and so do unscored labels. noise=bradley_terry plays a threshold, not
    siblings.

    Source: Bradley and Terry 1952; Plackett 1975, Luce 1959; that Gumbel noise draws them:
    Yellott 1977, "The relationship between Luce's choice axiom, Thurstone's theory of comparative
    judgment, and the double exponential distribution".

    Settings:
        temperature: difference at which the odds are e to 1 [score units].
    """
    if label.score is None:
        return replace(label, clean_score=None, clean_right=None)
    keys = np.array([derive(seed, "plackett_luce")], dtype=np.uint64)
    uniform = max(STEP, float(uniforms(keys, 0)[0]))
    score = label.score - temperature * math.log(-math.log(uniform))
    return replace(label, score=score, clean_score=label.score, clean_right=label.right)
