"""A verifier that errs at known rates."""

from dataclasses import replace
from typing import Annotated

import numpy as np

from align_cli.errors import AlignError
from align_cli.rows import Label
from align_cli.seeds import derive, uniforms


def flip(
    label: Label,
    seed: int,
    *,
    false_positive: Annotated[float, "[0, 1]", "share of wrong answers"],
    false_negative: Annotated[float, "[0, 1]", "share of right answers"],
) -> Label:
    """Call a wrong answer right with one probability, a right one wrong with another.

        P(said right | wrong) = false_positive        P(said wrong | right) = false_negative

    Errors are independent between completions and depend on the seed alone, never on the order
    of the labels; with the same seed, what is flipped at one rate is flipped at every larger one.
    What the verifier said stays in `clean_score` and `clean_right`. A flipped label scores 1 if it
    becomes right and 0 if it becomes wrong, whatever other scores the verifier gives. Unscored
    labels stay as they are; a label that is graded but neither right nor wrong is refused.

    The share of false winners among pairs is not `false_positive`: it depends on how often the
    policy is right and on how many answers the pairing rule chooses from.

    Settings:
        false_positive: the defect rate of a lenient verifier, in [0, 1].
        false_negative: the defect rate of a severe one, in [0, 1].
    """
    clean = replace(label, clean_score=label.score, clean_right=label.right)
    if label.verdict != "judged":
        return clean
    if label.right is None:
        raise AlignError(
            f"noise: the verifier gives completion {label.prompt_id}/{label.index} the score "
            f"{label.score} but says neither right nor wrong, so there is no verdict to flip; use "
            "a verifier that does, or noise=gaussian, noise=bradley_terry or noise=none"
        )
    keys = np.array([derive(seed, "flip")], dtype=np.uint64)
    rate = false_negative if label.right else false_positive
    if uniforms(keys, 0)[0] >= rate:
        return clean
    return replace(clean, right=not label.right, score=0.0 if label.right else 1.0)
