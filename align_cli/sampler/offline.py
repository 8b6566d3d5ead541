"""Answers that are given in a file, instead of sampled ones."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.errors import ConfigError
from align_cli.rows import Decoding, Draw, Judged, Prompt, prompt_id
from align_cli.table.example import example
from align_cli.table.read import local_path, read_table
from align_cli.table.row import text_of


def offline(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    path: str,
    question_field: str,
    answer_fields: tuple[str, ...],
    instruction: str,
    system: str,
    n: Annotated[int, ">= 1", "answers per prompt"],
    max_new_tokens: Annotated[int, ">= 1", "tokens"],
) -> list[Draw]:
    """The first n given answers to every prompt: nothing is sampled, all else is as in any run.

    An answer belongs to the prompt that its row's question makes with this instruction and system
    message; several rows may ask one question, and a row may hold several answers. They are
    numbered row by row, field by field. The text is tokenised once and ends with the end-of-turn
    token; its log-probs are the present policy's, which did not write it. Verifier, noise and
    pairing judge it like a sampled one. The text itself is in the draw, so a changed answer is
    another stage and a file that moved is not. The held-out exam is sampled as ever.

    A prompt without an answer is drawn nothing; a round without any is an error.

    Settings:
        path: a .jsonl, .json, .csv or .parquet file.
        question_field: the question, a text or chat messages, as in task=jsonl.
        answer_fields: where the row's answers are; dots lead into objects. One that is null or
            empty is no answer; one that is absent is an error.
        instruction, system: those of the task, for prompts to be recognised by.
        n: most answers per prompt.
        max_new_tokens: a longer answer, end-of-turn included, is an error: cut, it would be
            another answer [tokens].
    """
    if not answer_fields:
        raise ConfigError("sampler.answer_fields is empty; name the fields that hold answers")
    if judged:
        return []
    if local_path(path) is None:
        raise ConfigError(f"sampler.path {path!r}: no such file; give the file of the answers")
    given: dict[str, list[str]] = {}
    for row in read_table(path, None, config_name=None, revision=None):
        asked = example(row, question_field=question_field, instruction=instruction, system=system)
        texts = [text_of(row, name) for name in answer_fields]
        answers = given.setdefault(prompt_id(asked.messages), [])
        answers += [text for text in texts if text is not None]
    decoding = Decoding(max_new_tokens=max_new_tokens)
    draws = [
        Draw(
            prompt_id=prompt.id,
            index=index,
            messages=prompt.messages,
            decoding=decoding,
            author="recorded",
            given=text,
        )
        for prompt in prompts
        for index, text in enumerate(given.get(prompt.id, [])[:n])
    ]
    if not draws:
        raise ConfigError(
            f"sampler.path {path}: none of its {len(given)} questions is one of the "
            f"{len(prompts)} prompts of this round; sampler.instruction {instruction!r} and "
            f"sampler.system {system!r} must be those of the task. The first prompt ends with "
            f"{prompts[0].messages[-1].content[-60:]!r}"
        )
    return draws
