"""The answer is what a pattern finds."""

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from align_cli.errors import ConfigError
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier import regex_worker
from align_cli.verifier.killable import Reply, ask_all
from align_cli.verifier.verdicts import judged, unanswered, unscored

PROGRAM = Path(regex_worker.__file__)
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(/[1-9]\d*)?")

Compare = Literal["text", "number"]


def regex(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    pattern: str,
    match: Literal["first", "last"],
    compare: Compare,
    ignore_case: bool,
    timeout_seconds: Annotated[float, "> 0", "s"],
    workers: Annotated[int, ">= 1", "processes"],
) -> list[Label]:
    """Right iff what the pattern extracts is the gold.

        score = 1 if equal(extracted, gold) else 0

    What is extracted is the group named `answer`, else the first group, else the whole match. As
    text, both are stripped and compared letter by letter. As numbers, thousands separators, signs
    of currency and percent signs are dropped and values are compared exactly: 1,234.50 is 1234.5
    and 1/2 is 0.5. Where nothing matches, or what matches is no number, the answer is wrong.

    A prompt without gold is not judged (`no_gold`), nor one whose gold is blank or, as a number, no
    number (`unreadable_gold`). Python's `re` may take exponential time, so matching runs in
    processes that are killed at the limit (`timeout`); one that dies is an `error`.

    Settings:
        pattern: in the syntax of Python's `re`; `.` matches newlines only with `(?s)`.
        match: which match counts where there are several.
        compare: `text` or `number`.
        ignore_case: whether letter case is ignored, in matching and in comparing.
        timeout_seconds: wall clock per row [s].
        workers: processes that match at once.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"verifier.pattern {pattern!r} is no regular expression: {error}"
        ) from None
    group: int | str = "answer" if "answer" in compiled.groupindex else min(1, compiled.groups)
    shared = {"pattern": pattern, "group": group, "match": match, "ignore_case": ignore_case}
    replies = ask_all(
        PROGRAM,
        [{**shared, "text": completion.text} for completion in completions],
        workers=workers,
        timeout_seconds=timeout_seconds,
    )
    return [
        _label(prompt, completion, reply, compare, ignore_case)
        for prompt, completion, reply in zip(prompts, completions, replies, strict=True)
    ]


def _label(
    prompt: Prompt, completion: Completion, reply: Reply, compare: Compare, ignore_case: bool
) -> Label:
    if prompt.gold is None:
        return unscored(completion, "no_gold")
    gold = _normal(prompt.gold, compare, ignore_case)
    if not gold:
        return unscored(completion, "unreadable_gold", f"gold {prompt.gold[:100]!r}")
    if silent := unanswered(completion, reply):
        return silent
    found = reply.content["answer"]
    answer = None if found is None else _normal(found, compare, ignore_case)
    right = answer == gold
    detail = "no match" if found is None else "" if answer else f"no number: {found[:100]!r}"
    return judged(completion, right=right, score=float(right), answer=answer or None, detail=detail)


def _normal(text: str, compare: Compare, ignore_case: bool) -> str:
    """What is compared; empty where nothing can be."""
    text = text.strip()
    if compare == "text":
        return text.casefold() if ignore_case else text
    bare = re.sub(r"[,\s$€£%]", "", text).rstrip(".")
    found = NUMBER.fullmatch(bare)
    if found is None:
        return ""
    above, _, below = bare.partition("/")
    return str(Fraction(above) / Fraction(below or 1))
