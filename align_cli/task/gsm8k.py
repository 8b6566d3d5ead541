"""GSM8K: grade-school word problems with worked solutions."""

from typing import Annotated

from align_cli.rows import Prompt
from align_cli.table.example import golds
from align_cli.table.read import read_table
from align_cli.table.row import Row, text_of
from align_cli.task.questions import Questions, Split, choose, questions


def gsm8k(
    split: Split,
    round_number: int,
    seed: int,
    *,
    path: str,
    instruction: str,
    system: str,
    prompts_per_round: Annotated[int, ">= 1", "prompts"],
    heldout_prompts: Annotated[int, ">= 1", "prompts"],
) -> list[Prompt]:
    """GSM8K: Cobbe et al. 2021, arXiv:2110.14168; 7,473 train and 1,319 test questions.

    The gold is what follows `####` in the answer. The test questions are the held-out set, the
    same sample for every seed; round r trains on the r-th slice of a permutation of the train
    questions that the seed decides. Strata: calculator steps (`<<...>>`) of the reference solution.

    Settings:
        path: a folder with train.jsonl and test.jsonl (or .json, .csv, .parquet) as published, or
            the id of the data set on the Hugging Face hub.
        instruction: put after the question as it is.
        system: a system message; empty: none.
        prompts_per_round, heldout_prompts: set sizes [prompts].
    """

    def read(part: str) -> Questions:
        rows = read_table(path, part, config_name="main", revision=None)
        return questions(
            rows,
            golds(rows, "answer", "####"),
            [_steps(row) for row in rows],
            question_field="question",
            instruction=instruction,
            system=system,
        )

    return choose(
        split,
        round_number,
        seed,
        train=read("train") if split == "train" else {},
        heldout=read("test"),
        prompts_per_round=prompts_per_round,
        heldout_prompts=heldout_prompts,
        overlap="refuse",
    )


def _steps(row: Row) -> str:
    count = (text_of(row, "answer") or "").count("<<")
    return f"{count} step" if count == 1 else f"{count} steps"
