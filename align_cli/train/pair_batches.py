"""Pairs on the device: tokens to log-probs of both sides, loss and numbers of a micro-batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.model.flops import forward_flops
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import token_logps
from align_cli.rows import PairReference
from align_cli.schedule.plan import Plan
from align_cli.store.cost import Cost
from align_cli.train.numbers import Numbers, mean
from align_cli.train.steps import Losses


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

    def losses(self, model: LanguageModel, places: Sequence[int], cost: Cost) -> Losses:
        """The loss on everything that a loss of pairs may ask for; it takes its share."""
        offer = self._offer(model, places, cost)
        out = self.loss(**offer)
        return Losses(out.loss_B, pair_numbers(out, offer["pairs"], offer["ref_pairs"]))

    def _offer(self, model: LanguageModel, places: Sequence[int], cost: Cost) -> dict[str, Any]:
        examples = [self.examples[place] for place in places]
        pairs = _policy_logps(model, examples, cost)
        return {
            "pairs": pairs,
            "ref_pairs": self._stored("ref_pairs", places, pairs),
            "start_pairs": self._stored("start_pairs", places, pairs),
            "pair_labels": PairLabels(
                torch.tensor([e.margin for e in examples], device=model.device),
                torch.tensor([e.chosen_score for e in examples], device=model.device),
                torch.tensor([e.rejected_score for e in examples], device=model.device),
            ),
        }

    def _stored(self, name: str, places: Sequence[int], pairs: PairLogps) -> PairLogps | None:
        """Log-probs under a policy that stands still; None where the loss asks for none."""
        if name not in self.known:
            return None
        rows: list[PairReference] = [self.known[name][place] for place in places]
        device = pairs.chosen_B.device
        return PairLogps(
            torch.tensor([row.chosen_logp for row in rows], device=device),
            torch.tensor([row.rejected_logp for row in rows], device=device),
            pairs.chosen_len_B,
            pairs.rejected_len_B,
        )


def _policy_logps(model: LanguageModel, examples: Sequence[PairExample], cost: Cost) -> PairLogps:
    """Log-probs of both sides, in one forward pass."""
    prompts = [example.prompt_ids for example in examples] * 2
    completions = [e.chosen_ids for e in examples] + [e.rejected_ids for e in examples]
    logps_BT, mask_BT = token_logps(model.network, prompts, completions)
    sums_B, lengths_B = logps_BT.sum(-1), mask_BT.sum(-1)
    cost.forward_flops += sum(
        forward_flops(model.network, len(p) + len(c), (len(p) + len(c)) / 2)
        for p, c in zip(prompts, completions, strict=True)
    )
    half = len(examples)
    return PairLogps(sums_B[:half], sums_B[half:], lengths_B[:half], lengths_B[half:])


def pair_numbers(out: PairLoss, pairs: PairLogps, references: PairLogps | None) -> Numbers:
    """Means over a batch; log-ratios are policy minus reference [nats]."""
    gap_B = out.chosen_reward_B - out.rejected_reward_B
    means = {
        "loss": mean(out.loss_B),
        "reward_margin": mean(gap_B),
        # A tie of implicit rewards is half right.
        "accuracy": mean((gap_B > 0).float() + 0.5 * (gap_B == 0).float()),
        "chosen_logp_nats": mean(pairs.chosen_B),
        "rejected_logp_nats": mean(pairs.rejected_B),
    }
    if references is not None:
        ratio_B = pairs.chosen_B - references.chosen_B
        means["chosen_logratio_nats"] = mean(ratio_B)
        means["rejected_logratio_nats"] = mean(pairs.rejected_B - references.rejected_B)
        means["chosen_fallen_share"] = mean((ratio_B < 0).float())
    return {name: (value, len(gap_B)) for name, value in means.items()}
