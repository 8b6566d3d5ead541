"""A verifier that decides by chance, the surer the further a score is from its threshold."""

import math
from dataclasses import replace
from typing import Annotated

import numpy as np

from align_cli.rows import Label
from align_cli.seeds import derive, uniforms


def bradley_terry(
    label: Label,
    seed: int,
    *,
    temperature: Annotated[float, "> 0", "score units"],
    threshold: Annotated[float, "score units"],
) -> Label:
    """Draw the verdict from a Bradley-Terry match of the score against a fixed opponent.

        P(said right) = 1 / (1 + exp(-(score - threshold) / temperature))

    The label scores 1 or 0. Where the verifier gives a verdict, that is the clean one; where it
    only grades, it is score > threshold, the limit of temperature 0. Each completion plays the
    threshold, not its siblings: two siblings of very different scores may both be called right.
    With the same seed a completion said right is said right at every higher score. Unscored
    labels stay as they are.

    With scores 0 and 1 and threshold 0.5 both error rates are 1 / (1 + exp(0.5 / temperature)).

    Source: Bradley and Terry 1952, "Rank analysis of incomplete block designs"; the fixed
    opponent is a choice of this component.

    Settings:
        temperature: score difference at which the odds are e to 1 [score units]; larger is noisier.
        threshold: the score that is called right half of the time [score units].
    """
    if label.score is None:
        return replace(label, clean_score=None, clean_right=None)
    keys = np.array([derive(seed, "bradley_terry")], dtype=np.uint64)
    # tanh is the logistic function that cannot overflow.
    chance = 0.5 * (1.0 + math.tanh((label.score - threshold) / temperature / 2.0))
    right = bool(uniforms(keys, 0)[0] < chance)
    clean_right = label.score > threshold if label.right is None else label.right
    return replace(
        label,
        score=float(right),
        right=right,
        clean_score=label.score,
        clean_right=clean_right,
    )
