"""Pairs that a run of the loop has made."""

from pathlib import Path
from typing import Annotated

from align_cli.errors import ConfigError, RowError
from align_cli.rows import Completion, Preference, Prompt
from align_cli.store.run_folder import rounds_of, rows_at
from align_cli.training_rows import Pair


def recorded(*, path: str, rounds: Annotated[tuple[int, ...] | None, ">= 0"]) -> list[Preference]:
    """The pairs of a run's rounds, as its verifier, noise, pairing and filter left them.

    Both answers count as answers to the original prompt, corrections too. The margin is the
    verifier's. Whatever the noise got wrong is learned: that is what a study of it may want.

    Settings:
        path: a run folder, `outputs/NAME`.
        rounds: numbers of the rounds; null: all that are finished.
    """
    folder = Path(path).expanduser()
    there = rounds_of(folder, "4_pairs")
    if not there:
        raise ConfigError(
            f"preference.path {path}: no run with pairs is there; wanted outputs/NAME of an "
            "`align run` whose pairing makes pairs"
        )
    absent = sorted(set(rounds or ()) - set(there))
    if absent:
        raise ConfigError(
            f"preference.rounds: {path} has no finished pairs of round {absent[0]}; it has "
            f"{', '.join(map(str, there))}"
        )
    return [pair for number in rounds or there for pair in _pairs(folder, number)]


def _pairs(folder: Path, number: int) -> list[Preference]:
    here = folder / f"round_{number:02d}"
    prompts = {row.id: row for row in rows_at(here / "1_prompts", "prompts", Prompt)}
    answers = {
        (row.prompt_id, row.index): row
        for row in rows_at(here / "2_completions", "completions", Completion)
    }
    pairs = rows_at(here / "4_pairs", "pairs", Pair)
    if not pairs:
        raise RowError(f"{here}/4_pairs holds no pairs; groups are no preferences")
    return [
        _preference(
            prompts[pair.prompt_id],
            answers[pair.prompt_id, pair.chosen],
            answers[pair.prompt_id, pair.rejected],
            pair.margin,
            f"{here.name}:{pair.prompt_id}/{pair.chosen}>{pair.rejected}",
        )
        for pair in pairs
    ]


def _preference(
    prompt: Prompt, chosen: Completion, rejected: Completion, margin: float, source: str
) -> Preference:
    return Preference(
        prompt_id=prompt.id,
        messages=prompt.messages,
        chosen=chosen.text,
        rejected=rejected.text,
        chosen_ended=chosen.finish == "stop",
        rejected_ended=rejected.finish == "stop",
        margin=margin,
        source=source,
    )
