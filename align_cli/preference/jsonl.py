"""Pairs from a file or a data set, in the ecosystem's form: prompt, chosen, rejected."""

from align_cli.rows import Preference
from align_cli.table.pairs import read_pairs


def jsonl(
    *,
    path: str,
    split: str | None,
    question_field: str,
    chosen_field: str,
    rejected_field: str,
    margin_field: str | None,
    instruction: str,
    system: str,
) -> list[Preference]:
    """One pair per row: a prompt and two answers, the first preferred.

    The prompt is a text or a list of chat messages that ends with the user's; an answer is a text,
    or a list of one message of the assistant's. A row that cannot be read is an error that names
    its line. An answer is taken to have ended by itself.

    Settings:
        path: a .jsonl, .json, .csv or .parquet file, a folder, or a data set of the hub.
        split: of a folder or data set; null for a file.
        question_field, chosen_field, rejected_field: where they are; dots lead into objects.
        margin_field: how much better the chosen answer was found, above 0; null: 1 for every pair.
        instruction, system: put after the question, and before the conversation, as they are.
    """
    return read_pairs(
        path,
        split,
        question_field=question_field,
        chosen_field=chosen_field,
        rejected_field=rejected_field,
        margin_field=margin_field,
        instruction=instruction,
        system=system,
    )
