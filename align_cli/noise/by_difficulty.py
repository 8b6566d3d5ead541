"""A verifier that errs more on harder prompts."""

import re
from typing import Annotated

from align_cli.errors import AlignError
from align_cli.noise.flip import flip
from align_cli.rows import Label, Prompt


def by_difficulty(
    label: Label,
    prompt: Prompt,
    seed: int,
    *,
    false_positive: Annotated[float, "[0, 1]", "share of wrong answers"],
    false_positive_per_step: Annotated[float, "[-1, 1]", "share of wrong answers per step"],
    false_negative: Annotated[float, "[0, 1]", "share of right answers"],
    false_negative_per_step: Annotated[float, "[-1, 1]", "share of right answers per step"],
    from_steps: Annotated[int, ">= 0", "steps"],
) -> Label:
    """Flip verdicts at rates that grow with the number in the stratum's name.

        rate = clip(base + slope * (steps - from_steps), 0, 1)

    for false positives and false negatives each; `steps` is the first whole number in the
    prompt's stratum, 3 in `3 steps` or `level 3`. A stratum without a number is refused: use
    noise=by_stratum, which takes a rate for each name. Random numbers are those of noise=flip.

    Settings:
        false_positive, false_negative: rates at `from_steps` steps, in [0, 1].
        false_positive_per_step, false_negative_per_step: added for each further step, in [-1, 1].
        from_steps: where the base rates hold [steps].
    """
    if label.verdict != "judged":
        return flip(label, seed, false_positive=0.0, false_negative=0.0)
    further = _steps(prompt) - from_steps
    return flip(
        label,
        seed,
        false_positive=_clip(false_positive + false_positive_per_step * further),
        false_negative=_clip(false_negative + false_negative_per_step * further),
    )


def _clip(rate: float) -> float:
    return min(1.0, max(0.0, rate))


def _steps(prompt: Prompt) -> int:
    found = re.search(r"\d+", prompt.stratum)
    if found is None:
        raise AlignError(
            f"noise=by_difficulty: the stratum of prompt {prompt.id} is {prompt.stratum!r}, "
            "without a number to measure difficulty by; use noise=by_stratum, or a task whose "
            "strata are like '3 steps'"
        )
    return int(found.group())
