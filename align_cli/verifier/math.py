"""The answer must be mathematically equal to the gold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier import math_worker
from align_cli.verifier.killable import Reply, ask_all
from align_cli.verifier.marked import marked_answer
from align_cli.verifier.verdicts import judged, unscored

PROGRAM = Path(math_worker.__file__)
LONGEST_ANSWER = 1000
"""Characters; a marked answer longer than this is not read, hence wrong."""
SEARCHED = 4000
"""Characters at the end of a text that are searched where no answer is marked."""

Extract = Literal["marked", "anywhere"]


def math(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    answer_marker: str | None,
    extract: Extract,
    strict: bool,
    wrong_score: Annotated[float, "< 1"],
    unmarked_score: Annotated[float, "< 1"],
    timeout_seconds: Annotated[float, "> 0", "s"],
    workers: Annotated[int, ">= 1", "processes"],
) -> list[Label]:
    """Right iff math-verify finds the answer equal to the gold: 1/2 = 0.5 = \\\\frac12, 1,234 = 1234.

        score = 1 if right, else wrong_score if an answer is marked, else unmarked_score

    An answer is marked by `answer_marker` (the rest of that line) or by `\\\\boxed{}`; the last mark
    counts. Numbers are compared after rounding to 6 decimals; a unit after a number is dropped, so
    `18 dollars` is 18; words are compared as words. An answer that cannot be read is wrong.

    A gold that cannot be read is not judged (`unreadable_gold`), nor is a row that takes longer
    than the limit (`timeout`) or crashes its worker (`error`). Rows are judged in processes that
    are killed at the limit: math-verify's own limit is a Python signal, which does not fire inside
    one long operation (github.com/huggingface/Math-Verify/issues/65).

    `Label.answer` is a normal form for majority votes: ratios of numbers as `1/2`, formulas as
    sympy prints them, words folded; an answer equal to the gold has the gold's normal form.

    Settings:
        answer_marker: text before the final answer, `####` in GSM8K; null where only a box counts.
        extract: `marked` reads marked answers only. `anywhere` falls back on math-verify's own
            extraction from the last 4,000 characters, often the last number there: more answers
            are found, and more that were never given as one.
        strict: math-verify's mode. True: variables go by name and a tuple is no set. False:
            variables are matched by position (x + 1 = y + 1) and sets equal tuples.
        wrong_score, unmarked_score: scores of wrong answers; equal unless format is rewarded.
        timeout_seconds: wall clock per row [s].
        workers: processes that judge at once.
    """
    golds = [prompt.gold for prompt in prompts]
    marks = [marked_answer(completion.text, answer_marker) for completion in completions]
    asked: dict[tuple[str, str, bool], dict[str, Any]] = {}
    keys: list[tuple[str, str, bool] | None] = []
    for gold, mark, completion in zip(golds, marks, completions, strict=True):
        key = None
        if gold is not None:
            key = _question(_gold(gold, answer_marker), mark, completion.text, extract)
            asked[key] = {"gold": key[0], "answer": key[1], "anywhere": key[2], "strict": strict}
        keys.append(key)
    replies = ask_all(
        PROGRAM, list(asked.values()), workers=workers, timeout_seconds=timeout_seconds
    )
    known = dict(zip(asked, replies, strict=True))
    return [
        unscored(completion, "no_gold")
        if key is None
        else _label(
            completion, known[key], wrong_score if mark else unmarked_score, _found(key, mark)
        )
        for completion, key, mark in zip(completions, keys, marks, strict=True)
    ]
