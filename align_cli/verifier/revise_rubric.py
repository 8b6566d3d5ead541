"""A judge's rubric and answers that it graded -> the next version of the rubric."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from align_cli.rows import Judged, Prompt, Rubric
from align_cli.verifier.chat_server import ChatServer
from align_cli.verifier.judge_model import (
    Body,
    Structured,
    conversation,
    parsed,
    response_format,
    schema_of,
)

FORM = (
    'Reply with one JSON object and nothing else: {{"reason": "your analysis", "rubric": "the '
    'whole new rubric"}}, the rubric in at most {words} words.'
)
SCHEMA = schema_of("rubric", {"type": "string"})


def revise_rubric(
    rubric: Rubric,
    graded: Sequence[tuple[Prompt, Judged]],
    *,
    server: str,
    model: str,
    structured: Structured,
    temperature: float,
    api_key_env: str | None,
    timeout_seconds: float,
    retries: int,
    first_wait_seconds: float,
    longest_wait_seconds: float,
    cache: str | None,
    show_gold: bool,
    examples: int,
    meta_prompt: str,
    meta_max_tokens: int,
    most_words: int,
) -> Rubric:
    """The version after `rubric`, or `rubric` again with the reason why it stands."""
    shown = spread(graded, examples)
    if not shown:
        return _stands(rubric, "no answer was graded")
    told = "\n\n".join([f"[Rubric]\n{rubric.text}", *(_told(*each, show_gold) for each in shown)])
    body: Body = {
        "model": model,
        "messages": [
            {"role": "system", "content": f"{meta_prompt}\n\n{FORM.format(words=most_words)}"},
            {"role": "user", "content": told},
        ],
        "temperature": temperature,
        "max_tokens": meta_max_tokens,
        **response_format(structured, SCHEMA),
    }
    asked = ChatServer(
        server, api_key_env, timeout_seconds, retries, first_wait_seconds,
        longest_wait_seconds, None if cache is None else Path(cache),
    )  # fmt: skip

    def read(answer: dict[str, Any]) -> str:
        text = answer["rubric"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError("the rubric is no text, or empty")
        if len(text.split()) > most_words:
            raise ValueError(f"the rubric has {len(text.split())} words, more than {most_words}")
        return text.strip()

    said = asked.ask(body, lambda text: parsed(text, read).value is not None)
    if said.text is None:
        return _stands(rubric, said.refusal or str(said.failure))
    found = parsed(said.text, read)
    if found.value is None:
        return _stands(rubric, f"{found.verdict}: {found.reason}")
    return Rubric(version=rubric.version + 1, text=found.value, analysis=found.reason)


def spread(graded: Sequence[tuple[Prompt, Judged]], most: int) -> list[tuple[Prompt, Judged]]:
    """At most so many graded answers, from the lowest score to the highest, evenly by rank."""
    known = sorted(
        (each for each in graded if _grade(each[1]) is not None),
        key=lambda each: (_grade(each[1]), each[0].id, each[1].completion.index),
    )
    count = min(most, len(known))
    return [known[n * (len(known) - 1) // max(1, count - 1)] for n in range(count)]


def _grade(one: Judged) -> float | None:
    """What the judge said, before noise."""
    label = one.label
    return label.score if label.clean_score is None else label.clean_score


def _told(prompt: Prompt, one: Judged, show_gold: bool) -> str:
    reason = one.label.detail.partition(": ")[2]
    return (
        f"{conversation(prompt, show_gold)}\n\n[Answer]\n{one.completion.text}\n\n"
        f"[Grade by the rubric]\n{_grade(one):g}: {reason}"
    )


def _stands(rubric: Rubric, why: str) -> Rubric:
    return Rubric(version=rubric.version, text=rubric.text, stands_because=why)
