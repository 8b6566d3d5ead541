"""Which questions of a table make a round's prompts, and which are held out."""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

from align_cli.errors import ConfigError
from align_cli.rows import Prompt, prompt_id
from align_cli.seeds import derive
from align_cli.table.example import example
from align_cli.table.row import Row

Split = Literal["train", "heldout"]
Overlap = Literal["refuse", "drop_from_train"]
Questions = Mapping[str, Prompt]
"""By the hash of the bare question, which instruction and system message do not change."""

logger = logging.getLogger(__name__)


def questions(
    rows: Sequence[Row],
    golds: Sequence[str | None],
    strata: Sequence[str],
    *,
    question_field: str | tuple[str, ...],
    instruction: str,
    system: str,
) -> Questions:
    """A prompt per question; the first row counts where one occurs again, and a warning says so."""
    found: dict[str, Prompt] = {}
    repeated = contradicted = 0
    for row, gold, stratum in zip(rows, golds, strata, strict=True):
        asked = example(row, question_field=question_field, instruction=instruction, system=system)
        if (first := found.get(asked.key)) is not None:
            repeated += 1
            contradicted += gold != first.gold
            continue
        found[asked.key] = Prompt(
            id=prompt_id(asked.messages),
            messages=asked.messages,
            gold=gold,
            source=row.source,
            stratum=stratum,
        )
    if repeated:
        logger.warning(
            "%s: %d of %d questions occur again, %d of them with another gold; the first row of "
            "each is kept",
            rows[0].table,
            repeated,
            len(rows),
            contradicted,
        )
    return found


def choose(
    split: Split,
    round_number: int,
    seed: int,
    *,
    train: Questions,
    heldout: Questions,
    prompts_per_round: int,
    heldout_prompts: int,
    overlap: Overlap,
) -> list[Prompt]:
    """The prompts of one split; `train` may be left empty where the held-out ones are asked for."""
    if split == "heldout":
        return held_out_sample(list(heldout.values()), heldout_prompts)
    left = without_overlap(train, heldout, overlap)
    return training_round(left, round_number, seed, prompts_per_round)


def training_round(
    prompts: Sequence[Prompt], round_number: int, seed: int, count: int
) -> list[Prompt]:
    """The round's slice of a seeded permutation; a fresh one where the last is used up.

    No prompt comes twice in a round, and none comes again before `len(prompts) // count` rounds
    are over. The permutation depends on the seed and the prompts, not on their order in the file.
    """
    rounds = len(prompts) // count
    if rounds == 0:
        raise ConfigError(
            f"task: prompts_per_round is {count}, but there are {len(prompts)} questions to train "
            "on; ask for fewer, or give more questions"
        )
    epoch, slot = divmod(round_number, rounds)
    ordered = sorted(prompts, key=lambda prompt: derive(seed, "questions", epoch, prompt.id))
    return ordered[slot * count : (slot + 1) * count]


def held_out_sample(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """The first of one fixed permutation: the same for every seed, so runs compare item by item."""
    if count > len(prompts):
        raise ConfigError(
            f"task: heldout_prompts is {count}, but there are {len(prompts)} held-out questions; "
            "ask for fewer, or hold out more"
        )
    return sorted(prompts, key=lambda prompt: derive("held out", prompt.id))[:count]


def without_overlap(train: Questions, heldout: Questions, overlap: Overlap) -> list[Prompt]:
    """The training prompts that are not held out; shared ones are an error unless dropped."""
    shared = [prompt for key, prompt in train.items() if key in heldout]
    if shared and overlap == "refuse":
        raise ConfigError(
            f"task: {len(shared)} of {len(train)} training questions are held out as well, first "
            f"{shared[0].source}; mend the files, or set task.overlap=drop_from_train"
        )
    return [prompt for key, prompt in train.items() if key not in heldout]
