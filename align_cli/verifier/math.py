"""The answer must be mathematically equal to the gold."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier import math_worker
from align_cli.verifier.killable import Reply, ask_all
from align_cli.verifier.marked import marked_answer
from align_cli.verifier.verdicts import judged, unanswered, unscored

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
    """Right iff math-verify finds the answer equal to the gold: 1/2 is 0.5, and 1,234 is 1234.

        score = 1 if right, else wrong_score if an answer is marked, else unmarked_score

    An answer is marked by `answer_marker` (the rest of that line) or by `\\boxed{}`; the last
    mark counts. Numbers are compared after rounding to 6 decimals; a unit after a number is
    dropped, so `18 dollars` is 18; words are compared as words. An answer that cannot be read is
    wrong.

    A gold that cannot be read is not judged (`unreadable_gold`), nor is a row that takes longer
    than the limit (`timeout`) or crashes its worker (`error`). Rows are judged in processes that
    are killed at the limit: math-verify's own limit is a Python signal, which does not fire inside
    one long operation (github.com/huggingface/Math-Verify/issues/65).

    `Label.answer` is a normal form for majority votes: numbers as `0.5` or `1/3`, formulas as
    sympy prints them, words in small letters; an answer equal to the gold gets the gold's form.

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
    questions = [
        _question(prompt, completion.text, answer_marker, extract, strict)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    # Siblings often say the same; what was asked once is not asked again.
    distinct = list(dict.fromkeys(each for each in questions if each is not None))
    replies = ask_all(
        PROGRAM,
        [asdict(question) for question in distinct],
        workers=workers,
        timeout_seconds=timeout_seconds,
    )
    known = dict(zip(distinct, replies, strict=True))
    labels = []
    for completion, question in zip(completions, questions, strict=True):
        if question is None:
            labels.append(unscored(completion, "no_gold"))
            continue
        marked = marked_answer(completion.text, answer_marker) is not None
        wrong = wrong_score if marked else unmarked_score
        labels.append(_label(completion, question, known[question], wrong))
    return labels


@dataclass(frozen=True, slots=True)
class Question:
    """What a worker is asked."""

    gold: str
    answer: str
    """Empty where the text holds none."""
    anywhere: bool
    """Whether `answer` is a text to search, not an answer that was marked."""
    strict: bool


def _question(
    prompt: Prompt, text: str, marker: str | None, extract: Extract, strict: bool
) -> Question | None:
    if prompt.gold is None:
        return None
    gold = marked_answer(prompt.gold, marker) or prompt.gold
    answer = marked_answer(text, marker)
    if answer is None and extract == "anywhere":
        return Question(gold, text[-SEARCHED:], True, strict)
    return Question(gold, answer if answer and len(answer) <= LONGEST_ANSWER else "", False, strict)


def _label(completion: Completion, question: Question, reply: Reply, wrong_score: float) -> Label:
    if silent := unanswered(completion, reply):
        return silent
    right, answer = reply.content["right"], reply.content["name"] or None
    if right is None:
        return unscored(completion, "unreadable_gold", f"gold {question.gold[:100]!r}")
    detail = "" if question.answer and not question.anywhere else "no marked answer"
    score = 1.0 if right else wrong_score
    return judged(completion, right=right, score=score, answer=answer, detail=detail)
