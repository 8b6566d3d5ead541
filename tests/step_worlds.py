"""Answers made of steps, for tests of tree search: a world in which each step is right or wrong."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from judged_rows import judged

from align_cli.rows import Draw, Judged
from align_cli.seeds import derive

STEPS = 3
"""Of every answer; a step is two tokens, what it says and 0, which ends it; 9 ends the answer."""


def answer(index: int, *said: int, right: bool | None, **changed: Any) -> Judged:
    """An answer that says this, step after step, e.g. `answer(0, 5, 6, right=True)`."""
    ids = _ids(said)
    one = judged(index, right)
    row = replace(
        one.completion,
        token_ids=ids,
        logps=(-0.5,) * len(ids),
        step_ends=tuple(range(2, len(ids), 2)),
    )
    return replace(one, completion=replace(row, **changed))


def _ids(said: Sequence[int]) -> tuple[int, ...]:
    return (*[token for word in said for token in (word, 0)][:-1], 9)


def sampled(draw: Draw, world: int, chances: Sequence[float] = (0.5, 0.7, 0.9)) -> Judged:
    """What the world's policy makes of a draw: right where no step says 1."""
    kept = draw.prefix.token_ids if draw.prefix is not None else ()
    said = list(kept[::2])
    for step in range(len(said), STEPS):
        luck = derive(world, draw.prompt_id, draw.index, step) % 100
        said.append(1 + int(luck < 100 * chances[step]))
    ids = _ids(said)
    one = judged(draw.index, 1 not in said, prompt_id=draw.prompt_id)
    row = replace(
        one.completion, token_ids=ids, logps=(-0.5,) * len(ids),
        step_ends=tuple(range(2, len(ids), 2)), kept_tokens=len(kept),
        continues=None if draw.prefix is None else draw.prefix.of,
    )  # fmt: skip
    return replace(one, completion=row)
