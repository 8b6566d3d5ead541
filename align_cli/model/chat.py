"""Conversations -> a model's greedy answers, in this process."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from align_cli.model.language_model import LanguageModel
from align_cli.model.locate import located
from align_cli.rows import Message

State = tuple[tuple[str, int, int], ...]


@lru_cache(maxsize=2)
def _loaded(folder: Path, state: State, device: str) -> LanguageModel:
    return LanguageModel.load(folder, device=device)


def speaker(
    path: str, revision: str | None, *, device: str, group: str
) -> tuple[LanguageModel, str]:
    """The model at a path or of a name, read once a process; and what tells its files apart."""
    folder, _ = located(path, revision, group=group)
    files = sorted(file for file in folder.iterdir() if file.is_file())
    state = tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)
    return _loaded(folder.resolve(), state, device), f"{folder.resolve()} {state}"


@torch.inference_mode()
def answers(
    model: LanguageModel, conversations: Sequence[Sequence[Message]], *, most: int, batch_size: int
) -> list[str | None]:
    """What the model says next in each conversation, greedily, in at most so many tokens.

    None where there is no room: the window does not hold the conversation and the answer. Only
    conversations of one length share a batch, so that nothing is padded.
    """
    network: Any = model.network  # Its `generate` is typed as if it could be a tensor.
    found: list[str | None] = [None] * len(conversations)
    by_length: dict[int, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    for place, conversation in enumerate(conversations):
        ids = model.encode_prompt(conversation)
        if len(ids) + most <= model.window:
            by_length[len(ids)].append((place, ids))
    for length, asked in sorted(by_length.items()):
        for start in range(0, len(asked), batch_size):
            batch = asked[start : start + batch_size]
            ids_BT = torch.tensor([ids for _, ids in batch], device=model.device)
            said_BT = network.generate(
                ids_BT,
                attention_mask=torch.ones_like(ids_BT),
                max_new_tokens=most,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=list(model.stop_ids),
                pad_token_id=model.stop_ids[0],
            )
            for (place, _), ids in zip(batch, said_BT[:, length:].tolist(), strict=True):
                found[place] = model.decode(ids)
    return found
