"""Rows -> pairs of answers, the first preferred: the ecosystem's form of a preference."""

import math
from typing import Any

from align_cli.errors import RowError
from align_cli.rows import Preference
from align_cli.table.example import example
from align_cli.table.read import read_table
from align_cli.table.row import Row, field, text_of


def read_pairs(
    path: str,
    split: str | None = None,
    *,
    question_field: str = "prompt",
    chosen_field: str = "chosen",
    rejected_field: str = "rejected",
    margin_field: str | None = None,
    instruction: str = "",
    system: str = "",
) -> list[Preference]:
    """One pair per row; a row that cannot be read is an error that names its line."""
    pairs = []
    for row in read_table(path, split, config_name=None, revision=None):
        asked = example(row, question_field=question_field, instruction=instruction, system=system)
        pairs.append(
            Preference(
                prompt_id=asked.key,
                messages=asked.messages,
                chosen=_answer(row, chosen_field),
                rejected=_answer(row, rejected_field),
                chosen_ended=True,
                rejected_ended=True,
                margin=1.0 if margin_field is None else _margin(row, margin_field),
                source=row.source,
            )
        )
    return pairs


def _answer(row: Row, name: str) -> str:
    value: Any = field(row, name)
    match value:
        case [{"role": "assistant", "content": str(text)}]:
            pass
        case list():
            raise RowError(
                f"{row.place}: field {name!r} is a list, wanted a text or one message of the "
                "assistant's; messages before it belong into the prompt"
            )
        case _:
            text = text_of(row, name) or ""
    if not text.strip():
        raise RowError(f"{row.place}: the answer in field {name!r} is empty")
    return text


def _margin(row: Row, name: str) -> float:
    value = field(row, name)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise RowError(f"{row.place}: the margin in field {name!r} is {value!r}, wanted above 0")
    return float(value)
