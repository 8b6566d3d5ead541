"""Pairs by token: what a loss that looks at single tokens asks for, laid out side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from align_cli.batches import (
    PairActivations,
    PairLogps,
    PairTokenKLs,
    PairTokenMasks,
    PairTokens,
)
from align_cli.model.flops import forward_flops
from align_cli.model.heads import logits_and_states_at
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import completion_positions
from align_cli.model.token_masks import TokenMasks
from align_cli.store.cost import Cost
from align_cli.train.numbers import Numbers, mean
from align_cli.training_rows import PairTokenReference

NEEDS_REFERENCE_MODEL = frozenset({"token_kls", "ref_activations", "token_masks", "ref_fresh"})
"""What only the reference itself can tell, at every step: it is in memory while these train."""


BY_TOKEN = ("tokens", "ref_tokens", "token_kls", "ref_activations", "token_masks")


@dataclass(frozen=True)
class Layout:
    """Where the tokens of both sides go: chosen sides first, then the rejected ones, [2B, T]."""

    mask_BT: Tensor
    shared_B: Tensor

    @classmethod
    def of(
        cls,
        chosen: Sequence[Sequence[int]],
        rejected: Sequence[Sequence[int]],
        device: torch.device,
    ) -> "Layout":
        """From the token ids of the completions."""
        lengths_B = torch.tensor([len(side) for side in (*chosen, *rejected)])
        mask_BT = torch.arange(int(lengths_B.max())) < lengths_B[:, None]
        shared = [shared_length(c, r) for c, r in zip(chosen, rejected, strict=True)]
        return cls(mask_BT.to(device), torch.tensor(shared, device=device))

    def sides(self, value_N: Tensor) -> tuple[Tensor, Tensor]:
        """Values of the tokens, row after row, as [B, T] of either side (or [B, T, ...])."""
        empty = value_N.new_zeros(*self.mask_BT.shape, *value_N.shape[1:])
        laid = empty.index_put((self.mask_BT,), value_N)
        chosen, rejected = laid.chunk(2)
        return chosen, rejected

    def tokens(self, logps_N: Tensor) -> PairTokens:
        """Log-probs with the masks that find them."""
        chosen_mask_BT, rejected_mask_BT = self.mask_BT.chunk(2)
        return PairTokens(*self.sides(logps_N), chosen_mask_BT, rejected_mask_BT, self.shared_B)


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two completions begin with in common."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def stored_tokens(layout: Layout, rows: Sequence[PairTokenReference]) -> PairTokens:
    """The reference's log-probs of every token, from their rows."""
    sides = [row.chosen_logps for row in rows] + [row.rejected_logps for row in rows]
    flat = [logp for side in sides for logp in side]
    return layout.tokens(torch.tensor(flat, device=layout.mask_BT.device))


def summed(tokens: PairTokens) -> PairLogps:
    """Of whole answers."""
    return PairLogps(
        tokens.chosen_BT.sum(-1),
        tokens.rejected_BT.sum(-1),
        tokens.chosen_mask_BT.sum(-1),
        tokens.rejected_mask_BT.sum(-1),
    )


def ask_reference(
    reference: LanguageModel,
    masks: TokenMasks | None,
    layout: Layout,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    logits_NV: Tensor,
    cost: Cost,
) -> dict[str, PairTokenKLs | PairActivations | PairTokenMasks | None]:
    """One pass of the reference over the same sequences: KLs over the vocabulary, activations.

    KL(reference || policy) = sum over the vocabulary of p_ref (log p_ref - log p_policy) [nats],
    in float32 or wider; gradients flow into the policy's `logits_NV`, and into the masks.
    """
    with torch.no_grad():
        ids_BT, asks_BT, _ = completion_positions(prompts, completions, device=reference.device)
        ref_logits_NV, states = logits_and_states_at(reference.network, ids_BT, asks_BT)
        ref_NV = _wide(ref_logits_NV).log_softmax(-1)
        active_NL = torch.stack([state_ND.mean(-1) for state_ND in states], -1)
    # A word that the reference rules out has nothing to lose: 0 (-inf - x) is 0 here.
    gap_NV = (ref_NV - _wide(logits_NV).log_softmax(-1)).masked_fill(ref_NV.isneginf(), 0.0)
    kl_N = (ref_NV.exp() * gap_NV).sum(-1)
    for prompt, completion in zip(prompts, completions, strict=True):
        length = len(prompt) + len(completion)
        cost.forward_flops += forward_flops(reference.network, length, length / 2)
    found = None
    if masks is not None:
        states_NLD = torch.stack(states, 1)
        reward_N, leash_N = masks.reward(states_NLD), masks.kl(states_NLD)
        found = PairTokenMasks(*layout.sides(reward_N), *layout.sides(leash_N))
    return {
        "token_kls": PairTokenKLs(*layout.sides(kl_N)),
        "ref_activations": PairActivations(*layout.sides(active_NL)),
        "token_masks": found,
    }


def mask_numbers(masks: PairTokenMasks | None, tokens: PairTokens | None) -> Numbers:
    """How much learned masks let through, and the share of tokens that they close."""
    if masks is None or tokens is None:
        return {}
    inside_BT = torch.cat([tokens.chosen_mask_BT, tokens.rejected_mask_BT])
    reward_N = torch.cat([masks.chosen_reward_BT, masks.rejected_reward_BT])[inside_BT]
    leash_N = torch.cat([masks.chosen_kl_BT, masks.rejected_kl_BT])[inside_BT]
    means = {
        "reward_mask": mean(reward_N),
        "reward_mask_closed_share": mean((reward_N == 0).float()),
        "kl_mask": mean(leash_N),
        "kl_mask_closed_share": mean((leash_N == 0).float()),
    }
    return {name: (value, len(reward_N)) for name, value in means.items()}


def _wide(logits_NV: Tensor) -> Tensor:
    return logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
