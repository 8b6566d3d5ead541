"""A verifier that reads some kinds of answer worse than others."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from align_cli.errors import AlignError
from align_cli.noise.flip import flip
from align_cli.rows import Label

AnswerType = Literal["integer", "decimal", "fraction", "text", "unread"]

DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
PATTERNS: tuple[tuple[AnswerType, re.Pattern[str]], ...] = (
    ("integer", re.compile(rf"[+-]?{DIGITS}")),
    ("decimal", re.compile(rf"[+-]?(?:{DIGITS}\.\d*|\.\d+)|[+-]?{DIGITS}(?:\.\d*)?\\?%")),
    (
        "fraction",
        re.compile(rf"[+-]?{DIGITS}\s*/\s*{DIGITS}|[+-]?\\[dt]?frac\{{[^{{}}]+\}}\{{[^{{}}]+\}}"),
    ),
)


def by_answer_type(
    label: Label,
    seed: int,
    *,
    false_positive: Annotated[dict[AnswerType, float], "[0, 1]", "share of wrong answers"],
    false_negative: Annotated[dict[AnswerType, float], "[0, 1]", "share of right answers"],
) -> Label:
    """Flip verdicts at the rates of the kind of answer that the verifier read.

        P(said right | wrong, answer of type t) = false_positive[t]
        P(said wrong | right, answer of type t) = false_negative[t]

    Types: integer (`-1,200`), decimal (`3.5`, `50%`), fraction (`3/4`, `\\frac{3}{4}`), text
    (anything else) and unread (the verifier found no answer). The answer is the model's own, not
    the gold one: a policy can move towards the type that is judged leniently. Random numbers are
    those of noise=flip.

    Settings:
        false_positive, false_negative: {type: rate}, each in [0, 1], for all five types.
    """
    if label.verdict != "judged":
        return flip(label, seed, false_positive=0.0, false_negative=0.0)
    kind = answer_type(label.answer)
    return flip(
        label,
        seed,
        false_positive=_rate("false_positive", false_positive, kind),
        false_negative=_rate("false_negative", false_negative, kind),
    )


def answer_type(answer: str | None) -> AnswerType:
    """The kind of an answer as it was read; dollar signs and blanks around it do not count."""
    text = "" if answer is None else answer.strip(" \t\n$")
    if not text:
        return "unread"
    for name, pattern in PATTERNS:
        if pattern.fullmatch(text):
            return name
    return "text"


def _rate(name: str, rates: Mapping[AnswerType, float], kind: AnswerType) -> float:
    if kind not in rates:
        raise AlignError(
            f"noise=by_answer_type: an answer of type {kind}, and {name} has a rate for "
            f"{', '.join(sorted(rates)) or 'none'}; give one for each of "
            f"{', '.join(get_args(AnswerType))}"
        )
    return rates[kind]
