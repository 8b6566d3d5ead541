"""Draws that go on from given tokens: what the engine is asked, and what it made."""

from collections.abc import Sequence
from dataclasses import replace

from align_cli.model.language_model import LanguageModel
from align_cli.model.scoring import score_tokens
from align_cli.model.turns import encode_response
from align_cli.rows import Draw, Generated
from align_cli.store.cost import Cost

Ids = tuple[int, ...]
Put = tuple[Ids, tuple[float, ...]]
"""Tokens of a text that is put before what is sampled, and the policy's log-probs of them."""
NOTHING: Put = ((), ())


def forced(
    draws: Sequence[Draw], prompt_ids: Sequence[Ids], model: LanguageModel, cost: Cost
) -> list[Put]:
    """What is put after each draw's prompt and prefix; log-probs are read once a beginning."""
    begun = {
        (prompt, _kept(draw), forced_ids(draw, model))
        for draw, prompt in zip(draws, prompt_ids, strict=True)
        if draw.forced is not None
    }
    wanted = sorted(begun)
    scored = score_tokens(model, [p for p, _, _ in wanted], [k + f for _, k, f in wanted], cost)
    known = {
        each: (each[2], logps[len(each[1]) :]) for each, logps in zip(wanted, scored, strict=True)
    }
    return [
        NOTHING if draw.forced is None else known[prompt, _kept(draw), forced_ids(draw, model)]
        for draw, prompt in zip(draws, prompt_ids, strict=True)
    ]


def forced_ids(draw: Draw, model: LanguageModel) -> Ids:
    """The tokens of the text that makes the policy answer; none where nothing is forced."""
    return () if draw.forced is None else encode_response(model.tokenizer, draw.forced, ended=False)


def asked(
    draws: Sequence[Draw], prompt_ids: Sequence[Ids], put: Sequence[Put]
) -> tuple[list[Draw], list[Ids]]:
    """The draws and the token ids to go on from, as an engine takes them.

    A prefix is part of what is read, by its ids, never by its text; max_new_tokens counts the
    whole answer but for what is put there, so what is left of it is asked for.
    """
    return [_rest(draw) for draw in draws], [
        (*prompt, *_kept(draw), *ids)
        for draw, prompt, (ids, _) in zip(draws, prompt_ids, put, strict=True)
    ]


def _kept(draw: Draw) -> Ids:
    return () if draw.prefix is None else draw.prefix.token_ids


def _rest(draw: Draw) -> Draw:
    if draw.prefix is None:
        return draw
    left = draw.decoding.max_new_tokens - len(draw.prefix.token_ids)
    # The engine reads the prefix as part of what it goes on from.
    return replace(draw, prefix=None, decoding=replace(draw.decoding, max_new_tokens=left))


def joined(draw: Draw, prompt: Ids, put: Put, made: Generated) -> Generated:
    """The whole answer: the prefix as its sibling has it, what was put there, what was made."""
    if draw.prefix is None and draw.forced is None:
        return made
    ids, logps = put
    begun = () if draw.prefix is None else draw.prefix.logps
    return Generated(
        prompt_token_ids=prompt,
        token_ids=(*_kept(draw), *ids, *made.token_ids),
        logps=(*begun, *logps, *made.logps),
        finish=made.finish,
    )
