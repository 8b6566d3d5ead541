"""Groups on the device: tokens to log-probs of all siblings, loss and numbers of a micro-batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.model.flops import forward_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import sequence_logps, token_logps
from align_cli.schedule.plan import Plan
from align_cli.store.cost import Cost
from align_cli.train.group_numbers import group_numbers
from align_cli.train.steps import Losses
from align_cli.training_rows import GroupReference, MismatchReference


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A completion of another prompt than the group's."""

    prompt_id: str
    round: int
    index: int
    token_ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class GroupExample:
    """One prompt's siblings as tokens."""

    prompt_id: str
    round: int
    indices: tuple[int, ...]
    scores: tuple[float, ...]
    rights: tuple[bool, ...] | None
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[tuple[int, ...], ...]
    """In the order of the indices."""
    mismatch: Mismatch | None
    """None where all groups are of one prompt."""


@dataclass(frozen=True)
class GroupTask:
    """Training on groups, as the step loop sees it."""

    examples: Sequence[GroupExample]
    known: Mapping[str, Sequence[Any]]
    """{what the loss asks for: rows aligned with the examples}; not asked for, not here."""
    loss: Callable[..., GroupLoss]
    plan: Plan
    seed: int
    round_number: int
    unit: str = "groups"
    side: None = None

    def __len__(self) -> int:
        """How many groups."""
        return len(self.examples)

    def prompt_id(self, place: int) -> str:
        """The prompt of a group."""
        return self.examples[place].prompt_id

    def lengths(self, place: int) -> list[int]:
        """Tokens of every member, each with the prompt."""
        example = self.examples[place]
        return [len(example.prompt_ids) + len(ids) for ids in example.completion_ids]

    def losses(
        self, model: LanguageModel, places: Sequence[int], cost: Cost, step: int | None = None
    ) -> Losses:
        """The loss on everything that a loss of groups may ask for; it takes its share."""
        examples = [self.examples[place] for place in places]
        groups = _policy_logps(model, examples, cost)
        labels = _labels(examples, groups.logp_C)
        references = self._references(places, groups)
        mismatch_G = self._mismatch_logratios(model, places, cost)
        out = self.loss(
            groups=groups,
            ref_groups=references,
            group_labels=labels,
            mismatch_logratio_G=mismatch_G,
        )
        numbers = group_numbers(out, groups, labels, references, mismatch_G)
        return Losses(out.loss_G, numbers, out.target)

    def _references(self, places: Sequence[int], groups: GroupLogps) -> GroupLogps | None:
        if "ref_groups" not in self.known:
            return None
        rows: list[GroupReference] = [self.known["ref_groups"][place] for place in places]
        logps = [logp for row in rows for logp in row.member_logps]
        logp_C = groups.logp_C.new_tensor(logps)
        return GroupLogps(logp_C, groups.len_C, groups.group_C, groups.groups)

    def _mismatch_logratios(
        self, model: LanguageModel, places: Sequence[int], cost: Cost
    ) -> Tensor | None:
        """log(policy / reference) of another prompt's completion, without gradient [nats]."""
        if "mismatch_logratio_G" not in self.known:
            return None
        examples = [self.examples[place] for place in places]
        rows: list[MismatchReference] = [self.known["mismatch_logratio_G"][p] for p in places]
        others = [example.mismatch for example in examples]
        completions = [other.token_ids for other in others if other is not None]
        prompts = [example.prompt_ids for example in examples]
        with torch.no_grad():
            logp_G = sequence_logps(model.network, prompts, completions)
        _count_forward(model, prompts, completions, cost)
        return logp_G - logp_G.new_tensor([row.logp for row in rows])


def _policy_logps(model: LanguageModel, examples: Sequence[GroupExample], cost: Cost) -> GroupLogps:
    """Log-probs of every member, in one forward pass."""
    prompts = [example.prompt_ids for example in examples for _ in example.indices]
    completions = [ids for example in examples for ids in example.completion_ids]
    logps_BT, mask_BT = token_logps(model.network, prompts, completions)
    _count_forward(model, prompts, completions, cost)
    owners = [number for number, example in enumerate(examples) for _ in example.indices]
    group_C = torch.tensor(owners, device=model.device)
    return GroupLogps(logps_BT.sum(-1), mask_BT.sum(-1), group_C, len(examples))


def _labels(examples: Sequence[GroupExample], logp_C: Tensor) -> GroupLabels:
    """Scores, as wide as log-probs; verdicts, unless a group's judge gives none."""
    scores = [score for example in examples for score in example.scores]
    rights = [right for example in examples for right in example.rights or ()]
    known = all(example.rights is not None for example in examples)
    return GroupLabels(
        logp_C.new_tensor(scores),
        torch.tensor(rights, device=logp_C.device) if known else None,
    )


def _count_forward(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    cost: Cost,
) -> None:
    for prompt, completion in zip(prompts, completions, strict=True):
        tokens = len(prompt) + len(completion)
        cost.forward_flops += forward_flops(model.network, tokens, tokens / 2)
