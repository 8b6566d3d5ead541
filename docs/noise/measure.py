"""Wrong winners by number of draws: predicted, and counted in the pools of finished runs.

    python docs/noise/measure.py outputs/noise_pools/*

Reads round 0 of runs with sampler=best_of_n and n >= 32, and prints the tables of docs/noise.md.
The first 16 draws of a prompt are paired under fresh flips; how often a prompt is solved is taken
from the other draws, which share nothing with them.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from align_cli.noise.false_winners import Difficulty, chosen_wrong_share
from align_cli.noise.false_winners_of_pool import Counted, expected_pairs
from align_cli.noise.flip import flip
from align_cli.pairing.first_right_first_wrong import first_right_first_wrong
from align_cli.rows import Completion, Judged, Label, Prompt
from align_cli.seeds import derive
from align_cli.store.tables import read_rows

DRAWS = (2, 4, 8, 16)
RATE = 0.1
FLIPS = 20
"""Times that the same clean labels are flipped anew."""

Row = TypeVar("Row")
Pool = tuple[str, list[Judged]]
"""A prompt's stratum and its cleanly judged draws."""


def pools(run: Path) -> list[Pool]:
    """Every prompt of round 0 with its draws in order, labels as they were before noise."""
    here = run / "round_00"
    strata = {p.id: p.stratum for p in _rows(here / "1_prompts", "prompts", Prompt)}
    labels = {(x.prompt_id, x.index): x for x in _rows(here / "3_labels", "labels", Label)}
    siblings: dict[str, list[Judged]] = defaultdict(list)
    for row in _rows(here / "2_completions", "completions", Completion):
        label = labels[row.prompt_id, row.index]
        assert label.clean_score is not None
        clean = replace(label, right=label.clean_right, score=label.clean_score)
        siblings[row.prompt_id].append(Judged(completion=row, label=clean))
    return [
        (strata[name], sorted(some, key=lambda one: one.completion.index))
        for name, some in siblings.items()
    ]


def _rows(folder: Path, table: str, row_type: type[Row]) -> list[Row]:
    files = sorted(folder.glob(f"{table}-*.parquet")) or sorted(folder.glob(f"*/{table}-*.parquet"))
    return [row for file in files for row in read_rows(file, row_type)]


def flipped(siblings: Sequence[Judged], seed: int) -> list[Judged]:
    """The first draws under one realisation of the noise."""
    return [
        Judged(
            completion=one.completion,
            label=flip(
                one.label,
                derive(seed, one.label.prompt_id, one.label.index),
                false_positive=RATE,
                false_negative=0.0,
            ),
        )
        for one in siblings[: max(DRAWS)]
    ]


def counted(noisy: Sequence[Sequence[Judged]], n: int) -> tuple[int, int]:
    """(pairs, wrong winners) of the first n draws."""
    pairs = wrong = 0
    for siblings in noisy:
        for pair in first_right_first_wrong(siblings[:n], prefer="natural"):
            pairs += 1
            wrong += not siblings[pair.chosen].label.clean_right
    return pairs, wrong


def rest(pool: Pool) -> Counted:
    """The draws of a prompt that are not paired."""
    others = pool[1][max(DRAWS) :]
    return Counted(right=sum(bool(one.label.right) for one in others), answers=len(others))


def solved(some: Sequence[Pool]) -> float:
    """How often these prompts are solved in the draws that are not paired."""
    counts = [rest(pool) for pool in some]
    return sum(each.right for each in counts) / sum(each.answers for each in counts)


def tell(name: str, some: Sequence[Pool]) -> None:
    """One part of the prompts: predictions and counts, a line for each n."""
    strata: dict[str, list[Pool]] = defaultdict(list)
    for pool in some:
        strata[pool[0]].append(pool)
    means = [
        Difficulty(right=solved(alike), false_positive=RATE, prompts=len(alike))
        for alike in strata.values()
    ]
    realised = [[flipped(siblings, seed) for _, siblings in some] for seed in range(FLIPS)]
    for n in DRAWS:
        counts = [counted(noisy, n) for noisy in realised]
        shares = [wrong / pairs for pairs, wrong in counts]
        expected = expected_pairs([rest(pool) for pool in some], n, false_positive=RATE)
        print(
            f"| {name} | {n} | {fmean(pairs for pairs, _ in counts) / len(some):.3f} "
            f"| {expected.pairs / len(some):.3f} | {fmean(shares):.3f} "
            f"({min(shares):.3f} to {max(shares):.3f}) | {expected.wrong_share:.3f} "
            f"| {chosen_wrong_share(means, n):.3f} |"
        )


def main(runs: Sequence[str]) -> None:
    """Print the tables."""
    found = [pool for run in runs for pool in pools(Path(run))]
    print(
        "| prompts | n | pairs per prompt | predicted | wrong winners (over flips) "
        "| predicted | predicted from means by steps |"
    )
    print("|---|---|---|---|---|---|---|")
    hard = {"7 steps", "8 steps", "9 steps"}
    tell("2-4 steps", [pool for pool in found if pool[0] not in hard])
    tell("7-9 steps", [pool for pool in found if pool[0] in hard])
    tell("all", found)
    for steps in sorted({stratum for stratum, _ in found}):
        some = [pool for pool in found if pool[0] == steps]
        print(f"{steps}: {len(some)} prompts, solved {solved(some):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
