"""Rows -> questions: what is asked, what the answer should be, and which are held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from align_cli.errors import RowError
from align_cli.rows import Message, prompt_id
from align_cli.table.row import Absent, Row, field, text_of


@dataclass(frozen=True, slots=True)
class Example:
    """A question as it is asked, with the row it comes from."""

    row: Row
    messages: tuple[Message, ...]
    key: str
    """Hash of the question alone: the same whatever instruction and system message go with it."""


def example(
    row: Row, *, question_field: str | tuple[str, ...], instruction: str, system: str
) -> Example:
    """The conversation that a row asks to continue.

    The question is a text, several texts joined by spaces, or a list of chat messages. The
    instruction is put after the last user message as it is.
    """
    asked = _conversation(row, question_field)
    if asked[-1].role != "user":
        raise RowError(f"{row.place}: the last message is the {asked[-1].role}'s, not the user's")
    last = Message(asked[-1].role, asked[-1].content + instruction)
    if system and asked[0].role == "system":
        raise RowError(f"{row.place} has a system message of its own; leave the setting empty")
    opening = (Message("system", system),) if system else ()
    return Example(row, (*opening, *asked[:-1], last), prompt_id(asked))


def _conversation(row: Row, question_field: str | tuple[str, ...]) -> tuple[Message, ...]:
    if isinstance(question_field, str):
        value = field(row, question_field)
        if isinstance(value, list):
            return tuple(_message(row, each) for each in value) or _blank(row, question_field)
        question_field = (question_field,)
    texts = [text_of(row, name) or _blank(row, name) for name in question_field]
    return (Message("user", " ".join(texts)),)


def _message(row: Row, value: Any) -> Message:
    match value:
        case {"role": str(role), "content": str(content)}:
            return Message(role, content)
    raise RowError(f"{row.place}: a message is {value!r}, wanted its role and content as text")


def _blank(row: Row, name: str) -> NoReturn:
    raise RowError(f"{row.place}: the question in field {name!r} is empty")


def golds(rows: Sequence[Row], gold_field: str | None, gold_after: str | None) -> list[str | None]:
    """The reference answer of each row; None where it has none.

    A field that no row has at all is a mistake in its name, not a lack of answers.
    """
    found: list[str | None] = []
    refusal: Absent | None = None
    for row in rows:
        try:
            text = None if gold_field is None else text_of(row, gold_field)
        except Absent as error:
            found.append(None)
            refusal = refusal or error
            continue
        found.append(_after(row, text, gold_after))
    if refusal is not None and all(gold is None for gold in found):
        raise refusal
    return found


def _after(row: Row, text: str | None, marker: str | None) -> str | None:
    if text is None or marker is None:
        return text
    _, seen, answer = text.rpartition(marker)
    if not seen:
        raise RowError(f"{row.place}: the gold answer has no {marker!r}: {text[-60:]!r}")
    return answer.strip() or None


def is_held_out(key: str, share: float) -> bool:
    """Whether a question belongs to the held-out part: decided by its hash, hence for ever."""
    return int(key, 16) < share * 2**64
