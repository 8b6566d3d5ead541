"""A verifier whose scores are blurred."""

from dataclasses import replace
from statistics import NormalDist
from typing import Annotated

import numpy as np

from align_cli.rows import Label
from align_cli.seeds import derive, uniforms

HALF_STEP = 2.0**-54
"""Moves a uniform off 0, half a step of its grid of 2^-53."""


def gaussian(
    label: Label,
    seed: int,
    *,
    sd: Annotated[float, ">= 0", "score units"],
    threshold: Annotated[float | None, "score units"],
) -> Label:
    """Add a normal error to the score, and read the verdict off the blurred score.

        score' = score + sd * z,  z ~ N(0, 1)        right' = score' > threshold

    z depends on the seed alone, so with the same seed a larger sd stretches the same errors. Where
    the verifier gives a verdict, that is the clean one; where it only grades, it is
    score > threshold. With threshold null no verdict is changed or made: rules that go by scores
    (pairing=best_worst) meet the noise, those that go by right and wrong do not. Unscored labels
    stay as they are.

    With scores 0 and 1 and threshold 0.5 both error rates are Phi(-0.5 / sd).

    Settings:
        sd: standard deviation of the error [score units].
        threshold: scores above it are right [score units]; null leaves the verdict alone.
    """
    if label.score is None:
        return replace(label, clean_score=None, clean_right=None)
    keys = np.array([derive(seed, "gaussian")], dtype=np.uint64)
    error = NormalDist().inv_cdf(float(uniforms(keys, 0)[0]) + HALF_STEP)
    score = label.score + sd * error
    right, clean_right = label.right, label.right
    if threshold is not None:
        right = score > threshold
        clean_right = label.score > threshold if label.right is None else label.right
    return replace(
        label, score=score, right=right, clean_score=label.score, clean_right=clean_right
    )
