"""Decoding through the model's own forward pass, on whatever device it lies."""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch

from align_cli.engine.cache import cache_kind
from align_cli.engine.decode import decode
from align_cli.engine.waves import requests, waves
from align_cli.errors import AlignError
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Draw, Generated


def native(
    draws: Sequence[Draw],
    prompt_ids: Sequence[tuple[int, ...]],
    keys: Sequence[int],
    model: LanguageModel,
    advance: Callable[[int, int], None],
    *,
    rows: Annotated[int, ">= 1", "sequences"],
) -> list[Generated]:
    """Sample every draw's answer token by token, many rows at once.

        token t = the first v with  sum over w <= v of p(w | prompt, tokens before t)  >  u(key, t)

    p is the policy at the draw's temperature, cut to its top_k and top_p; one uniform u decides
    one token, so an answer depends on its key, prompt, decoding and policy alone: not on the other
    draws, their number, or `rows`, up to the last digits of floating-point sums. An answer ends
    with a stop token, which it keeps, or at max_new_tokens, or where the model's window ends.

    Prompts are read once each, their keys and values copied for every sibling; prompts of
    different lengths are decoded side by side where the model's cache allows it, and finished rows
    leave the batch. The log-prob recorded is the policy's own: temperature 1, whole vocabulary.

    Settings:
        rows: most sequences decoded at once; memory for keys and values grows with it.
    """
    wanted = requests(draws, prompt_ids, keys, window=model.window)
    kind = cache_kind(model.network)
    found: dict[int, Generated] = {}
    with torch.inference_mode():
        for wave in waves(wanted, rows=rows, mixes_lengths=kind.mixes_lengths):
            try:
                made = decode(model, wave, kind, advance)
            except torch.OutOfMemoryError as error:
                raise AlignError(
                    f"engine=native ran out of memory decoding {len(wave)} sequences at once "
                    f"(engine.rows={rows}); lower engine.rows or max_new_tokens"
                ) from error
            for request, generated in zip(wave, made, strict=True):
                found[request.place] = generated
    return [found[place] for place in range(len(draws))]
