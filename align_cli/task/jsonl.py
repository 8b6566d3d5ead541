"""Questions from a file, a folder or a data set of the hub."""

from typing import Annotated

from align_cli.errors import ConfigError
from align_cli.rows import Prompt
from align_cli.table.example import golds, is_held_out
from align_cli.table.read import local_path, read_table
from align_cli.table.row import text_of
from align_cli.task.questions import Overlap, Questions, Split, choose, questions


def jsonl(
    split: Split,
    round_number: int,
    seed: int,
    *,
    path: str,
    heldout_path: str | None,
    train_split: str | None,
    heldout_split: str | None,
    config_name: str | None,
    revision: str | None,
    question_field: str | tuple[str, ...],
    gold_field: str | None,
    gold_after: str | None,
    stratum_field: str | None,
    instruction: str,
    system: str,
    prompts_per_round: Annotated[int, ">= 1", "prompts"],
    heldout_prompts: Annotated[int, ">= 1", "prompts"],
    heldout_share: Annotated[float, "(0, 1)", "share of questions"],
    overlap: Overlap,
) -> list[Prompt]:
    """Your own questions: a .jsonl, .json, .csv or .parquet file, a folder of them, or a hub id.

    Round r takes the r-th slice of a permutation of the training questions that the seed decides,
    and a fresh permutation when it is used up. The held-out set is the same for every seed. It
    comes from `heldout_path`, else from `heldout_split` of `path`, else a share of the questions
    is held out, chosen by their hash. A question that occurs again is asked once, with the gold of
    its first row. Dots in a field's name lead into objects and lists: `answer.0.text`.

    Settings:
        path: a file, a folder that holds `train_split`.jsonl (or .json, .csv, .parquet), or the id
            of a data set on the Hugging Face hub, where nothing of that name is on disk.
        heldout_path: the same for held-out questions; null: `path`.
        train_split, heldout_split: names in a folder or data set; null for a single file.
        config_name, revision: of a hub data set; null: its default.
        question_field: a text or a list of chat messages; a list of names is joined by spaces.
        gold_field: the reference answer; where it is null or absent the prompt has no gold, and
            its completions are unscored and counted. null: no prompt has one.
        gold_after: the gold is what follows the last occurrence of this; null: the whole field.
        stratum_field: scores are also reported by its values; null: no strata.
        instruction: put after the question as it is.
        system: a system message; empty: none.
        prompts_per_round, heldout_prompts: set sizes [prompts].
        heldout_share: share of the questions that is held out where neither `heldout_path` nor
            `heldout_split` is given, in (0, 1).
        overlap: held-out questions among the training questions are an error (`refuse`) or left
            out of training (`drop_from_train`).
    """

    def read(place: str, name: str | None) -> Questions:
        if local_path(place) is not None and (config_name is not None or revision is not None):
            raise ConfigError(
                f"task: {place} is on disk; config_name and revision are of hub data sets, set "
                "them to null"
            )
        rows = read_table(place, name, config_name=config_name, revision=revision)
        return questions(
            rows,
            golds(rows, gold_field, gold_after),
            [text_of(row, stratum_field) or "" if stratum_field else "" for row in rows],
            question_field=question_field,
            instruction=instruction,
            system=system,
        )

    if heldout_path is None and heldout_split is None:
        whole = read(path, train_split)
        held, train = _by_hash(whole, heldout_share)
    else:
        held = read(heldout_path or path, heldout_split)
        train = read(path, train_split) if split == "train" else {}
    return choose(
        split,
        round_number,
        seed,
        train=train,
        heldout=held,
        prompts_per_round=prompts_per_round,
        heldout_prompts=heldout_prompts,
        overlap=overlap,
    )


def _by_hash(whole: Questions, heldout_share: float) -> tuple[Questions, Questions]:
    held = {key: prompt for key, prompt in whole.items() if is_held_out(key, heldout_share)}
    return held, {key: prompt for key, prompt in whole.items() if key not in held}
