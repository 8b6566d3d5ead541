"""Completions -> their place in the model's last hidden states."""

from collections.abc import Sequence
from typing import Literal

import torch

from align_cli.model.flops import forward_flops
from align_cli.model.heads import last_states_at
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import completion_mask, pad_right
from align_cli.model.scoring import batches_by_length
from align_cli.store.cost import Cost

HiddenName = Literal["mean_hidden", "last_hidden"]


@torch.inference_mode()
def hidden_features(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    cost: Cost,
    *,
    which: HiddenName,
) -> list[tuple[float, ...]]:
    """[N][H]: the last layer's hidden state of each completion, after the final norm.

    mean_hidden is the mean over the completion's tokens, last_hidden that of its last token; both
    have seen the prompt.
    """
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    found: list[tuple[float, ...]] = [()] * len(prompts)
    for batch in batches_by_length(lengths):
        mine = [prompts[place] for place in batch]
        answers = [completions[place] for place in batch]
        ids_BT = pad_right(
            [[*p, *c] for p, c in zip(mine, answers, strict=True)], device=model.device
        )
        mask_BT = completion_mask(mine, answers, device=model.device)
        states_NH = last_states_at(model.network, ids_BT, mask_BT)
        for place, state_TH in zip(batch, states_NH.split(mask_BT.sum(-1).tolist()), strict=True):
            vector_H = state_TH.mean(0) if which == "mean_hidden" else state_TH[-1]
            found[place] = tuple(vector_H.tolist())
            cost.scored_tokens += lengths[place]
            cost.forward_flops += forward_flops(model.network, lengths[place], lengths[place] / 2)
    return found
