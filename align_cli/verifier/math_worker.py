"""The program of a math worker: one question a line on stdin, one verdict a line on stdout.

It runs in a process of its own, which is killed at the time limit. Its own time limit is off in
both math-verify calls, because a limit made of Python signal handlers never fires inside one long
arithmetic operation.
"""

import logging
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from align_cli.verifier.worker import serve

NAME_CHARACTERS = 200
"""Length of a normalised answer that is kept."""

NUMBER = re.compile(
    r"(?:\\?[$€£]\s*)?(?P<sign>[-+]?)\s*(?:\\?[$€£]\s*)?"
    r"(?P<size>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)"
    r"(?P<power>[eE][-+]?\d{1,2})?\s*(?P<percent>\\?%)?\s*(?:\\?[$€£])?"
)
MIXED = re.compile(r"(?P<sign>-?)(?P<whole>\d+)\s+(?P<part>\d+/[1-9]\d*)")
MEASURE = re.compile(r"(?P<number>.*\d%?)\s+(?P<unit>[A-Za-z]{2,}(?:[ /-][A-Za-z]+)*)")
NO_UNITS = frozenset({"pi", "or", "and", "to", "sqrt", "times", "over", "mod"})
"""Words that change what the number before them means."""
WORDS = re.compile(r"\(?[A-Z]\)?|[A-Za-z]{4,}|[A-Za-z]{2,}(?:[ ,.;:'-]+[A-Za-z]+)+")
CLOCK = re.compile(r"\d{1,2}(?::\d\d)?\s*[ap]\.?m", re.IGNORECASE)
TEXT = re.compile(r"\\(?:text|textbf|textrm|mathrm|mbox)\s*\{([^{}]*)\}")
SIGNS = str.maketrans(
    {"\u2212": "-", "\u00d7": r"\times ", "\u00f7": r"\div ", "\u221e": r"\infty "}
)
"""Minus, times, division and infinity as single characters."""
FAILURES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What sympy raises on expressions that it has no rule for."""


@dataclass(frozen=True)
class Reading:
    """What an answer says; all empty where it cannot be read."""

    expressions: tuple[Any, ...] = ()
    """In sympy's terms."""
    words: str = ""
    """Where it is words and no formula (`no solution`), letter case and spacing undone."""
    name: str = ""
    """The normal form; equal for answers that are the same number or the same words."""


@lru_cache(maxsize=256)
def read(text: str) -> Reading:
    """Read one isolated answer: words, a number with or without its unit, or LaTeX."""
    text = text.strip().strip("*").strip()
    text = text[:-1].rstrip() if text.endswith(".") else text
    if words := in_words(text):
        return Reading(words=words, name=words)
    text = text.translate(SIGNS)
    measure = MEASURE.fullmatch(text)
    if measure and not NO_UNITS & set(measure["unit"].casefold().split()):
        text = measure["number"]
    if found := NUMBER.fullmatch(text):
        return _number(found)
    if found := MIXED.fullmatch(text):
        text = f"{found['sign']}({found['whole']}+{found['part']})"
    return _named(latex(text), text)


def in_words(text: str) -> str:
    """The words of an answer that is no formula, letter case and spacing undone; else empty.

    `no solution`, `\\text{even}`, `3 pm` and the option `(B)` are words. Two or three letters and a
    small letter are read as formulas: they may be variables.
    """
    bare = TEXT.sub(r" \1 ", text).replace("$", " ").strip(" .")
    if CLOCK.fullmatch(bare):
        return "".join(bare.casefold().replace(".", "").split())
    quoted = TEXT.fullmatch(text.strip("$ ")) is not None and bare.isalpha()
    if not quoted and not WORDS.fullmatch(bare):
        return ""
    return " ".join(bare.strip("()").casefold().split())


def _number(found: re.Match[str]) -> Reading:
    from latex2sympy2_extended.latex2sympy2 import convert_to_pct
    from sympy import Number

    text = found["sign"] + found["size"].replace(",", "") + (found["power"] or "")
    exact = Fraction(text)
    number = Number(exact.numerator if exact.denominator == 1 else text)
    if found["percent"]:
        return Reading((convert_to_pct(number),), name=f"{spelled(exact)}%")
    return Reading((number,), name=spelled(exact))


def spelled(number: Fraction) -> str:
    """1/2 and 0.5 as `0.5`, 1/3 as `1/3`; 6 decimals, as many as are compared."""
    if number.denominator > 1 and abs(number) < 10**15:
        decimal = f"{float(number):.6f}".rstrip("0").rstrip(".")
        number = number if number.denominator < 1000 else round(number, 6)
        return decimal if Fraction(decimal) == number else str(number)
    return str(number)


def latex(text: str) -> list[Any]:
    """The expressions that math-verify reads in an answer, which is LaTeX with or without $."""
    from math_verify import LatexExtractionConfig, parse

    text = text.replace("eqslant", "eq")  # \leqslant, \geqslant
    if "$" not in text and r"\(" not in text and r"\[" not in text:
        text = re.sub(r"\^(-\d+)", r"^{\1}", text.replace("**", "^"))
        text = f"${text}$"
    found = parse(
        text, [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None
    )
    return list(found)


def anywhere(text: str) -> Reading:
    """What math-verify takes for the answer of a whole text: often the last number in it."""
    from math_verify import parse

    return _named(parse(text, fallback_mode="no_fallback", parsing_timeout=None), "")


def _named(expressions: list[Any], text: str) -> Reading:
    name = _name(expressions[0], text) if expressions else ""
    return Reading(tuple(expressions), name=name)


def _name(expression: Any, text: str) -> str:
    """Sympy's own form after evaluation, ratios as ratios; the text itself where it has none."""
    from sympy import Float, Rational

    try:
        value = expression.doit()
        number = isinstance(value, Float | Rational)
        name = spelled(Fraction(str(value))) if number else str(value)
    except FAILURES:
        name = "".join(text.split())
    return name[:NAME_CHARACTERS]


def judge(question: dict[str, Any]) -> dict[str, Any]:
    """Whether the answer equals the gold, and the answer's normal form.

    `right` is None where the gold cannot be read: where nothing is found in it, or where it does
    not equal itself (1/0). An answer that equals the gold is given the gold's normal form.
    """
    gold = read(question["gold"])
    if not gold.words and not equal(gold, gold, strict=question["strict"]):
        return {"right": None, "name": ""}
    text = question["answer"]
    answer = anywhere(text) if question["anywhere"] else read(text)
    right = equal(gold, answer, strict=question["strict"])
    return {"right": right, "name": gold.name if right else answer.name}


def equal(gold: Reading, answer: Reading, *, strict: bool) -> bool:
    """Same words, or equal by math-verify; a comparison that it gives up on is unequal."""
    from math_verify import verify

    if gold.words or answer.words:
        return gold.words == answer.words
    wanted, got = list(gold.expressions), list(answer.expressions)
    if not wanted or not got:
        return False
    if not verify(wanted, got, strict=strict, timeout_seconds=None):
        return False
    return not _both_unsolvable(wanted[0], got[0])


def _both_unsolvable(gold: Any, answer: Any) -> bool:
    """Whether two different equations pass for equal only because neither has a solution.

    Math-verify compares equations by their real solutions, so it takes x^2 = -1 for x^2 = -2.
    """
    from sympy import Eq, simplify, solve

    if not (isinstance(gold, Eq) and isinstance(answer, Eq)) or gold == answer:
        return False
    try:
        if gold.free_symbols and solve(gold, gold.free_symbols):
            return False
        ratio = simplify((gold.lhs - gold.rhs) / (answer.lhs - answer.rhs))
    except FAILURES:
        return False
    return not (gold.free_symbols and ratio.is_number and ratio.is_finite)


def prepare() -> None:
    """A worker that cannot work must not say that it is ready."""
    logging.disable(logging.CRITICAL)
    import math_verify  # noqa: F401


if __name__ == "__main__":
    serve(judge, failures=(MemoryError, *FAILURES), prepare=prepare)
