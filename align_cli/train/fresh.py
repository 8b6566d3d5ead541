"""Answers drawn from the policy while it trains, for losses that ask for `fresh`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from align_cli.batches import GroupLogps
from align_cli.model.flops import forward_flops, generation_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import token_logps
from align_cli.rows import Decoding, Draw, Message
from align_cli.seeds import derive
from align_cli.store.cost import Cost
from align_cli.train.numbers import Numbers, mean

NEEDS = frozenset({"fresh", "ref_fresh"})
"""What a loss asks for that wants answers drawn as it trains."""
Prompts = Mapping[str, tuple[tuple[Message, ...], tuple[int, ...]]]
"""{prompt id: (conversation, token ids)}"""


@dataclass(frozen=True)
class Fresh:
    """How fresh answers are drawn: by the run's engine, in streams named by step and prompt."""

    engine: Callable[..., Any]
    samples: int
    max_new_tokens: int
    seed: int
    round_number: int

    @classmethod
    def of(
        cls, engine: Callable[..., Any], settings: Mapping[str, Any], seed: int, round_number: int
    ) -> "Fresh":
        """With the settings that the loop reads of a loss that asks for fresh answers."""
        samples, most = int(settings["fresh_samples"]), int(settings["max_new_tokens"])
        return cls(engine, samples, most, seed, round_number)

    def answers(
        self, model: LanguageModel, prompts: Prompts, step: int | None, cost: Cost
    ) -> dict[str, list[tuple[int, ...]]]:
        """{prompt id: token ids of its samples}; the same of the same weights, step and prompt.

        Sample j of a prompt at a step has the stream (seed, "fresh", round, step, prompt, j), so
        that a resumed training draws what it would have drawn. After the last step, `step` is None.
        """
        decoding = Decoding(max_new_tokens=self.max_new_tokens)
        draws = [
            Draw(prompt_id=name, index=index, messages=messages, decoding=decoding)
            for name, (messages, _) in prompts.items()
            for index in range(self.samples)
        ]
        where = "after" if step is None else step
        made = self.engine(
            draws=draws,
            prompt_ids=[prompts[draw.prompt_id][1] for draw in draws],
            keys=[
                derive(self.seed, "fresh", self.round_number, where, draw.prompt_id, draw.index)
                for draw in draws
            ],
            model=model,
            advance=lambda _done, _rows: None,
        )
        found: dict[str, list[tuple[int, ...]]] = {name: [] for name in prompts}
        for draw, generated in zip(draws, made, strict=True):
            found[draw.prompt_id].append(generated.token_ids)
        for name, (_, prompt_ids) in prompts.items():
            lengths = [len(tokens) for tokens in found[name]]
            cost.prompt_tokens += len(prompt_ids)
            cost.generated_tokens += sum(lengths)
            cost.forward_flops += generation_flops(model.network, len(prompt_ids), lengths)
        return found


def fresh_logps(
    model: LanguageModel,
    reference: LanguageModel | None,
    answers: Mapping[str, Sequence[tuple[int, ...]]],
    prompts: Prompts,
    owners: Sequence[str],
    cost: Cost,
) -> dict[str, GroupLogps | None]:
    """Log-probs of the fresh answers under both policies; group g is of prompt `owners[g]`.

    A prompt that owns several groups is scored once.
    """
    rows = [(name, tokens) for name in prompts for tokens in answers[name]]
    contexts, completions = [prompts[name][1] for name, _ in rows], [tokens for _, tokens in rows]
    logps_BT, mask_BT = token_logps(model.network, contexts, completions)
    _count(model, contexts, completions, cost, trained=torch.is_grad_enabled())
    places: dict[str, list[int]] = {name: [] for name in prompts}
    for place, (name, _) in enumerate(rows):
        places[name].append(place)
    pick_C = torch.tensor([p for owner in owners for p in places[owner]], device=model.device)
    counts = torch.tensor([len(places[owner]) for owner in owners], device=model.device)
    group_C = torch.arange(len(owners), device=model.device).repeat_interleave(counts)
    length_C = mask_BT.sum(-1)[pick_C]

    def groups(token_logps_BT: Tensor) -> GroupLogps:
        return GroupLogps(token_logps_BT.sum(-1)[pick_C], length_C, group_C, len(owners))

    if reference is None:
        return {"fresh": groups(logps_BT), "ref_fresh": None}
    with torch.no_grad():
        ref_BT, _ = token_logps(reference.network, contexts, completions)
    _count(reference, contexts, completions, cost, trained=False)
    return {"fresh": groups(logps_BT), "ref_fresh": groups(ref_BT)}


def fresh_numbers(fresh: GroupLogps | None, ref_fresh: GroupLogps | None) -> Numbers:
    """How far the policy is from the reference on its own answers, and how long they are."""
    if fresh is None or ref_fresh is None:
        return {}
    ratio_C = fresh.logp_C - ref_fresh.logp_C
    return {
        "fresh_kl_nats": (mean(ratio_C), fresh.groups),
        "fresh_length_tokens": (mean(fresh.len_C), fresh.groups),
    }


def _count(
    model: LanguageModel,
    contexts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    cost: Cost,
    *,
    trained: bool,
) -> None:
    for context, completion in zip(contexts, completions, strict=True):
        tokens = len(context) + len(completion)
        cost.forward_flops += forward_flops(model.network, tokens, tokens / 2)
        if trained:
            cost.trained_tokens += tokens
            cost.backward_flops += 2 * forward_flops(model.network, tokens, tokens / 2)
