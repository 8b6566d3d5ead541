"""A verifier that errs at rates given for each part of the task by name."""

from collections.abc import Mapping
from typing import Annotated

from align_cli.errors import AlignError
from align_cli.noise.flip import flip
from align_cli.rows import Label, Prompt


def by_stratum(
    label: Label,
    prompt: Prompt,
    seed: int,
    *,
    false_positive: Annotated[dict[str, float], "[0, 1]", "share of wrong answers"],
    false_negative: Annotated[dict[str, float], "[0, 1]", "share of right answers"],
    other_false_positive: Annotated[float | None, "[0, 1]", "share of wrong answers"],
    other_false_negative: Annotated[float | None, "[0, 1]", "share of right answers"],
) -> Label:
    """Flip verdicts at the rates of the prompt's stratum.

        P(said right | wrong, stratum s) = false_positive[s]
        P(said wrong | right, stratum s) = false_negative[s]

    As noise=flip within a stratum, with the same random numbers: where the rates agree, the same
    labels are flipped. A stratum without a rate is refused. A name that no prompt bears does
    nothing; the realised rates of every round are reported by stratum and show it.

    Settings:
        false_positive, false_negative: {stratum: rate}, each in [0, 1], e.g. {4 steps: 0.2}.
        other_false_positive, other_false_negative: rates of strata not named; null refuses them.
    """
    if label.verdict != "judged":
        return flip(label, seed, false_positive=0.0, false_negative=0.0)
    return flip(
        label,
        seed,
        false_positive=_rate("false_positive", false_positive, other_false_positive, prompt),
        false_negative=_rate("false_negative", false_negative, other_false_negative, prompt),
    )


def _rate(name: str, rates: Mapping[str, float], other: float | None, prompt: Prompt) -> float:
    rate = rates.get(prompt.stratum, other)
    if rate is None:
        raise AlignError(
            f"noise=by_stratum: prompt {prompt.id} is of stratum {prompt.stratum!r}, and {name} "
            f"has a rate for {', '.join(map(repr, sorted(rates))) or 'none'}; add it, or set "
            f"noise.other_{name}"
        )
    return rate
