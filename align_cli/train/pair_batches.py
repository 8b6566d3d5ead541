"""Pairs on the device: tokens to log-probs of both sides, loss and numbers of a micro-batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from align_cli.batches import GroupLogps, PairLabels, PairLogps, PairLoss, PairTokenKLs
from align_cli.model.flops import forward_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import completion_logits, completion_logps, laid_out, picked_logps
from align_cli.model.token_masks import TokenMasks
from align_cli.rows import Message
from align_cli.schedule.plan import Plan
from align_cli.store.cost import Cost
from align_cli.train.doubt import doubted
from align_cli.train.fresh import Fresh, fresh_logps, fresh_numbers
from align_cli.train.numbers import Numbers, mean
from align_cli.train.steps import Losses
from align_cli.train.tokens import (
    BY_TOKEN,
    Layout,
    ask_reference,
    mask_numbers,
    stored_tokens,
    summed,
)
from align_cli.training_rows import PairReference


@dataclass(frozen=True, kw_only=True)
class PairExample:
    """One pair as tokens."""

    prompt_id: str
    round: int
    chosen: int
    rejected: int
    margin: float
    chosen_score: float
    rejected_score: float
    prompt_ids: tuple[int, ...]
    chosen_ids: tuple[int, ...]
    rejected_ids: tuple[int, ...]
    visits: tuple[int, int] | None = None
    """Of the chosen and the rejected step, where the pair is of a search's steps."""
    p_right: float = 1.0
    """Chance that the label is right, as a filter believes."""
    weight: float = 1.0
    """By how much its loss counts, as a filter says."""
    messages: tuple[Message, ...] = ()
    """The prompt's conversation, for what is drawn while it trains."""


@dataclass(frozen=True)
class PairTask:
    """Training on pairs, as the step loop sees it."""

    examples: Sequence[PairExample]
    known: Mapping[str, Sequence[Any]]
    """{what the loss asks for: rows aligned with the examples}; not asked for, not here."""
    loss: Callable[..., PairLoss]
    plan: Plan
    seed: int
    round_number: int
    wants: frozenset[str] = frozenset()
    """What the loss asks for, by name."""
    reference: LanguageModel | None = None
    """In memory only for a loss that asks what no table holds."""
    fresh: Fresh | None = None
    """Only for a loss that asks for answers drawn as it trains."""
    side: TokenMasks | None = None
    """Only for a loss that asks for learned masks; it learns beside the policy."""
    unit: str = "pairs"

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.examples)

    def prompt_id(self, place: int) -> str:
        """The prompt of a pair."""
        return self.examples[place].prompt_id

    def lengths(self, place: int) -> list[int]:
        """Tokens of both sides, each with its prompt."""
        example = self.examples[place]
        sides = (example.chosen_ids, example.rejected_ids)
        return [len(example.prompt_ids) + len(side) for side in sides]

    def losses(
        self, model: LanguageModel, places: Sequence[int], cost: Cost, step: int | None = None
    ) -> Losses:
        """The loss on everything that a loss of pairs may ask for; it takes its share."""
        offer = self._offer(model, places, cost) | self._fresh(model, places, step, cost)
        beliefs = [self.examples[place].p_right for place in places]
        right_B = offer["pairs"].chosen_B.new_tensor(beliefs)
        out = doubted(self.loss, offer, self.loss(**offer), right_B)
        weight_B = self._weights(places, model.device)
        numbers = pair_numbers(out, offer["pairs"], offer["ref_pairs"], weight_B)
        more = {
            **kl_numbers(offer["token_kls"], weight_B),
            **mask_numbers(offer["token_masks"], offer["tokens"]),
            **fresh_numbers(offer["fresh"], offer["ref_fresh"]),
        }
        loss_B = out.loss_B if weight_B is None else weight_B.to(out.loss_B) * out.loss_B
        return Losses(loss_B, {**numbers, **more})

    def _weights(self, places: Sequence[int], device: torch.device) -> Tensor | None:
        """In float64; None where every pair counts alike, which is how nearly all rounds are."""
        weights = [self.examples[place].weight for place in places]
        if all(weight == 1 for weight in weights):
            return None
        return torch.tensor(weights, dtype=torch.float64, device=device)

    def _offer(self, model: LanguageModel, places: Sequence[int], cost: Cost) -> dict[str, Any]:
        examples = [self.examples[place] for place in places]
        prompts = [example.prompt_ids for example in examples] * 2
        completions = [e.chosen_ids for e in examples] + [e.rejected_ids for e in examples]
        logits_NV = None
        if self.reference is None:
            logps_N, mask_BT = completion_logps(model.network, prompts, completions)
        else:
            logits_NV, ids_N, mask_BT = completion_logits(model.network, prompts, completions)
            logps_N = picked_logps(logits_NV, ids_N)
        pairs = _summed(logps_N, mask_BT)
        for prompt, completion in zip(prompts, completions, strict=True):
            length = len(prompt) + len(completion)
            cost.forward_flops += forward_flops(model.network, length, length / 2)
        labels = pair_labels(examples, pairs.chosen_B)
        offer = dict.fromkeys(BY_TOKEN) | {
            "pairs": pairs,
            "ref_pairs": self._stored("ref_pairs", places, pairs),
            "start_pairs": self._stored("start_pairs", places, pairs),
            "pair_labels": labels,
        }
        if self.wants.isdisjoint(BY_TOKEN):
            return offer
        half = len(examples)
        layout = Layout.of(completions[:half], completions[half:], model.device)
        offer["tokens"] = layout.tokens(logps_N)
        if "ref_tokens" in self.known:
            rows = [self.known["ref_tokens"][place] for place in places]
            offer["ref_tokens"] = ref_tokens = stored_tokens(layout, rows)
            # Numbers of how far the policy has moved want the sums, whoever else asks for them.
            offer["ref_pairs"] = offer["ref_pairs"] or summed(ref_tokens)
        if self.reference is not None and logits_NV is not None:
            offer |= ask_reference(
                self.reference, self.side, layout, prompts, completions, logits_NV, cost
            )
        return offer

    def _fresh(
        self, model: LanguageModel, places: Sequence[int], step: int | None, cost: Cost
    ) -> dict[str, GroupLogps | None]:
        """Answers drawn now, one group for each pair; nothing where the loss asks for none."""
        if self.fresh is None:
            return {"fresh": None, "ref_fresh": None}
        examples = [self.examples[place] for place in places]
        prompts = {e.prompt_id: (e.messages, e.prompt_ids) for e in examples}
        answers = self.fresh.answers(model, prompts, step, cost)
        owners = [example.prompt_id for example in examples]
        reference = self.reference if "ref_fresh" in self.wants else None
        return fresh_logps(model, reference, answers, prompts, owners, cost)

    def _stored(self, name: str, places: Sequence[int], pairs: PairLogps) -> PairLogps | None:
        """Log-probs under a policy that stands still; None where the loss asks for none."""
        if name not in self.known:
            return None
        rows: list[PairReference] = [self.known[name][place] for place in places]
        return PairLogps(
            pairs.chosen_B.new_tensor([row.chosen_logp for row in rows]),
            pairs.chosen_B.new_tensor([row.rejected_logp for row in rows]),
            pairs.chosen_len_B,
            pairs.rejected_len_B,
        )


def pair_labels(examples: Sequence[PairExample], logps_B: Tensor) -> PairLabels:
    """What is known of each pair from its labels, and of steps from the search.

    Scores are as wide as the log-probs that they meet, which is float32 at least.
    """
    visits = [e.visits for e in examples if e.visits is not None]
    chosen_B = rejected_B = None
    if len(visits) == len(examples):
        chosen_B, rejected_B = torch.tensor(visits, device=logps_B.device).unbind(-1)
    return PairLabels(
        logps_B.new_tensor([e.margin for e in examples]),
        logps_B.new_tensor([e.chosen_score for e in examples]),
        logps_B.new_tensor([e.rejected_score for e in examples]),
        chosen_B,
        rejected_B,
    )


def _summed(logps_N: Tensor, mask_BT: Tensor) -> PairLogps:
    """Of whole answers: chosen sides first, then the rejected ones."""
    chosen_B, rejected_B = laid_out(logps_N, mask_BT).sum(-1).chunk(2)
    chosen_len_B, rejected_len_B = mask_BT.sum(-1).chunk(2)
    return PairLogps(chosen_B, rejected_B, chosen_len_B, rejected_len_B)


def pair_numbers(
    out: PairLoss, pairs: PairLogps, references: PairLogps | None, weight_B: Tensor | None = None
) -> Numbers:
    """Means over a batch, by the pairs' weights; log-ratios are policy minus reference [nats]."""
    gap_B = out.chosen_reward_B - out.rejected_reward_B
    means = {
        "loss": mean(out.loss_B, weight_B),
        "reward_margin": mean(gap_B, weight_B),
        # A tie of implicit rewards is half right.
        "accuracy": mean((gap_B > 0).float() + 0.5 * (gap_B == 0).float(), weight_B),
        "chosen_logp_nats": mean(pairs.chosen_B, weight_B),
        "rejected_logp_nats": mean(pairs.rejected_B, weight_B),
    }
    if references is not None:
        ratio_B = pairs.chosen_B - references.chosen_B
        means["chosen_logratio_nats"] = mean(ratio_B, weight_B)
        means["rejected_logratio_nats"] = mean(pairs.rejected_B - references.rejected_B, weight_B)
        means["chosen_fallen_share"] = mean((ratio_B < 0).float(), weight_B)
    return {name: (value, _amount(gap_B, weight_B)) for name, value in means.items()}


def kl_numbers(token_kls: PairTokenKLs | None, weight_B: Tensor | None = None) -> Numbers:
    """Mean over a batch of an answer's KL(reference || policy), summed over its tokens [nats]."""
    if token_kls is None:
        return {}
    chosen_B, rejected_B = token_kls.chosen_BT.sum(-1), token_kls.rejected_BT.sum(-1)
    return {
        "chosen_token_kl_nats": (mean(chosen_B, weight_B), _amount(chosen_B, weight_B)),
        "rejected_token_kl_nats": (mean(rejected_B, weight_B), _amount(rejected_B, weight_B)),
    }


def _amount(values_B: Tensor, weight_B: Tensor | None) -> float:
    """How much a batch counts when batches are put together."""
    return len(values_B) if weight_B is None else float(weight_B.sum())
