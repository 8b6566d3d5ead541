"""Worked solutions from a file, a folder or a data set of the hub."""

import hashlib
import re
from typing import Annotated

from align_cli.errors import ConfigError, RowError
from align_cli.rows import Demonstration, Message
from align_cli.seeds import derive
from align_cli.table.example import Example, example, is_held_out
from align_cli.table.read import read_table
from align_cli.table.row import text_of

CALCULATOR = re.compile(r"<<[^<>]*>>")


def solutions(
    seed: int,
    *,
    path: str,
    split: str | None,
    config_name: str | None,
    revision: str | None,
    question_field: str | tuple[str, ...],
    response_field: str,
    instruction: str,
    system: str,
    strip_calculator: bool,
    heldout_share: Annotated[float, "[0, 1)", "share of questions"],
    limit: Annotated[int, ">= 1", "demonstrations"] | None,
) -> list[Demonstration]:
    """The solutions that come with a task's training questions, in an order that the seed decides.

    A question may have several solutions; a row that repeats both is used once. A row without a
    solution is an error. Give the same question, instruction and system message as the task does,
    so that the policy is asked what it was taught.

    Settings:
        path, split: the training rows, as in task=jsonl.
        config_name, revision: of a hub data set; a file or folder has neither.
        question_field: a text or a list of chat messages; a list of names is joined by spaces.
        response_field: the solution, a text.
        instruction: put after the question as it is.
        system: a system message; empty: none.
        strip_calculator: whether GSM8K's calculator notes, `<<3*4=12>>`, are taken out.
        heldout_share: the share that task=jsonl holds out of these rows by hash; those questions
            are left out here. 0 where the held-out questions are in a file or split of their own.
        limit: demonstrations, the first of the order; null: all.
    """
    rows = read_table(path, split, config_name=config_name, revision=revision)
    found: dict[str, Demonstration] = {}
    for row in rows:
        asked = example(row, question_field=question_field, instruction=instruction, system=system)
        if is_held_out(asked.key, heldout_share):
            continue
        response = text_of(row, response_field)
        if response is None:
            raise RowError(f"{row.place}: the solution in field {response_field!r} is empty")
        if strip_calculator:
            response = CALCULATOR.sub("", response)
        made = _demonstration(asked, response)
        found.setdefault(made.id, made)
    wanted = len(found) if limit is None else limit
    if wanted > len(found):
        raise ConfigError(
            f"demonstration: limit is {limit}, but {path} holds {len(found)} solutions; ask for "
            "fewer, or set limit to null"
        )
    ordered = sorted(found.values(), key=lambda each: derive(seed, "solutions", each.id))
    return ordered[:wanted]


def _demonstration(asked: Example, response: str) -> Demonstration:
    parts: tuple[Message, ...] = (*asked.messages, Message("assistant", response))
    text = "\x1e".join(f"{message.role}\x1f{message.content}" for message in parts)
    return Demonstration(
        id=hashlib.sha256(text.encode()).hexdigest()[:16],
        messages=asked.messages,
        response=response,
        source=asked.row.source,
    )
