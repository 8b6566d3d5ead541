"""Draws that go on from a sibling's first tokens: what the engine is asked, and what it made."""

from collections.abc import Sequence
from dataclasses import replace

from align_cli.rows import Draw, Generated

Ids = tuple[int, ...]


def asked(draws: Sequence[Draw], prompt_ids: Sequence[Ids]) -> tuple[list[Draw], list[Ids]]:
    """The draws and the token ids to go on from, as an engine takes them.

    A prefix is part of what is read, by its ids, never by its text; max_new_tokens counts the
    whole answer, so what is left of it is asked for.
    """
    return [_rest(draw) for draw in draws], [
        prompt if draw.prefix is None else (*prompt, *draw.prefix.token_ids)
        for draw, prompt in zip(draws, prompt_ids, strict=True)
    ]


def _rest(draw: Draw) -> Draw:
    if draw.prefix is None:
        return draw
    left = draw.decoding.max_new_tokens - len(draw.prefix.token_ids)
    return replace(draw, decoding=replace(draw.decoding, max_new_tokens=left))


def joined(draw: Draw, prompt: Ids, made: Generated) -> Generated:
    """The whole answer: the prefix as its sibling has it, then what was made."""
    if draw.prefix is None:
        return made
    return Generated(
        prompt_token_ids=prompt,
        token_ids=(*draw.prefix.token_ids, *made.token_ids),
        logps=(*draw.prefix.logps, *made.logps),
        finish=made.finish,
    )
