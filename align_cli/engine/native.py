"""Decoding through the model's own forward pass, on whatever device it lies."""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch

from align_cli.engine.cache import CacheKind, cache_kind
from align_cli.engine.decode import decode
from align_cli.engine.processes import can_fork, fork_through
from align_cli.engine.threads import Advance, work_through
from align_cli.engine.waves import Request, requests, waves
from align_cli.errors import AlignError
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Draw, Generated


def native(
    draws: Sequence[Draw],
    prompt_ids: Sequence[tuple[int, ...]],
    keys: Sequence[int],
    model: LanguageModel,
    advance: Advance,
    *,
    rows: Annotated[int, ">= 1", "sequences"],
) -> list[Generated]:
    """Sample every draw's answer token by token, many rows at once.

        token t = the first v with  sum over w <= v of p(w | prompt, tokens before t)  >  u(key, t)

    p is the policy at the draw's temperature, cut to its top_k and top_p; one uniform u decides
    one token, so an answer depends on its key, prompt, decoding and policy alone: not on the other
    draws, their number, or `rows`, up to the last digits of floating-point sums. An answer ends
    with a stop token, which it keeps, or at max_new_tokens, or where the model's window ends.

    Prompts are read once each; on a CPU, siblings share one copy of their prompt's keys and values
    (`shared_prompt`) if the model attends plainly, elsewhere each gets a copy. Prompts of
    different lengths share a batch where the model's cache allows it, and finished rows leave it.
    On a CPU every core decodes a batch of its own (`processes`, `threads`). The log-prob recorded
    is the policy's own: temperature 1, whole vocabulary.

    Settings:
        rows: most sequences in a batch; memory for keys and values grows with it.
    """
    wanted = requests(draws, prompt_ids, keys, window=model.window)
    kind = cache_kind(model.network)
    cut = list(waves(wanted, rows=rows, mixes_lengths=kind.mixes_lengths))

    def work(wave: list[Request], advance: Advance) -> list[Generated]:
        try:
            with torch.inference_mode():
                return decode(model, wave, kind, advance)
        except torch.OutOfMemoryError as error:
            raise AlignError(
                f"engine=native ran out of memory decoding {len(wave)} sequences at once "
                f"(engine.rows={rows}); lower engine.rows or max_new_tokens"
            ) from error

    made = _side_by_side(cut, work, advance, on_cpu=model.device.type == "cpu", kind=kind)
    found = {
        request.place: generated
        for wave, answers in zip(cut, made, strict=True)
        for request, generated in zip(wave, answers, strict=True)
    }
    return [found[place] for place in range(len(draws))]


def _side_by_side(
    cut: list[list[Request]],
    work: Callable[[list[Request], Advance], list[Generated]],
    advance: Advance,
    *,
    on_cpu: bool,
    kind: CacheKind,
) -> list[list[Generated]]:
    """Every wave's answers: by a process for each core where there are waves enough, or threads."""
    threads = torch.get_num_threads() if on_cpu else 1
    if 1 < threads <= len(cut) and can_fork():
        return fork_through(cut, work, advance, workers=threads)
    return work_through(cut, work, advance, threads=threads if kind.side_by_side else 1)
