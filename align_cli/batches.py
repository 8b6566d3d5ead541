"""What flows on the device.

Shapes: B pairs, G groups, C completions (of all groups, joined), T tokens (right-padded), L
layers, V vocabulary. A `_BT` suffix is a [B, T] tensor.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class PairLogps:
    """Log-probs of both sides of each pair under one policy, summed over completion tokens."""

    chosen_B: Tensor
    """[nats]"""
    rejected_B: Tensor
    """[nats]"""
    chosen_len_B: Tensor
    """[tokens], int64, at least 1."""
    rejected_len_B: Tensor
    """[tokens], int64, at least 1."""


@dataclass(frozen=True, slots=True)
class PairLabels:
    """What the judge said of each pair."""

    margin_B: Tensor
    """score(chosen) - score(rejected) [score units]."""
    chosen_score_B: Tensor
    """[score units]"""
    rejected_score_B: Tensor
    """[score units]"""
    chosen_visits_B: Tensor | None = None
    """How many judged answers a search took through the step; None where sides are answers."""
    rejected_visits_B: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PairLoss:
    """A preference loss per pair, unreduced: the trainer takes the mean."""

    loss_B: Tensor
    chosen_reward_B: Tensor
    """Implicit reward of the chosen side, detached; for metrics only."""
    rejected_reward_B: Tensor


@dataclass(frozen=True, slots=True)
class PairTokens:
    """Log-probs of every token of both sides, from the completion's first token on.

    Padding holds 0, and its mask False. T is that of the longer side of the batch, for both.
    """

    chosen_BT: Tensor
    """[nats]"""
    rejected_BT: Tensor
    """[nats]"""
    chosen_mask_BT: Tensor
    """bool; every row has at least one True."""
    rejected_mask_BT: Tensor
    shared_B: Tensor
    """How many leading tokens the two sides have in common [tokens], int64."""


@dataclass(frozen=True, slots=True)
class PairTokenKLs:
    """KL(reference || policy) of the next token's whole distribution, at every token's place.

    Differentiable in the policy; padding holds 0, shaped as in PairTokens.
    """

    chosen_BT: Tensor
    """[nats]"""
    rejected_BT: Tensor
    """[nats]"""


@dataclass(frozen=True, slots=True)
class PairActivations:
    """How active the reference is at every token: each layer's hidden state, its mean over width.

    Of the position that predicts the token; padding holds 0, shaped as in PairTokens.
    """

    chosen_BTL: Tensor
    """[activation], one number per layer: the embedding first, the last layer last."""
    rejected_BTL: Tensor


@dataclass(frozen=True, slots=True)
class PairTokenMasks:
    """Learned weights of every token, at least 0; differentiable in what learns them.

    Padding holds 0, shaped as in PairTokens.
    """

    chosen_reward_BT: Tensor
    """[1], over rewards."""
    rejected_reward_BT: Tensor
    chosen_kl_BT: Tensor
    """[1], over KLs."""
    rejected_kl_BT: Tensor


@dataclass(frozen=True, slots=True)
class GroupLogps:
    """Log-probs of the completions of each prompt under one policy, summed over their tokens."""

    logp_C: Tensor
    """[nats]"""
    len_C: Tensor
    """[tokens], int64, at least 1."""
    group_C: Tensor
    """Which group a completion belongs to: int64, ascending, 0 to groups - 1, none left out."""
    groups: int


@dataclass(frozen=True, slots=True)
class GroupLabels:
    """What the judge said of each completion."""

    score_C: Tensor
    """[score units]"""
    right_C: Tensor | None
    """bool; None where the judge only grades."""


@dataclass(frozen=True, slots=True)
class GroupLoss:
    """A loss per group, unreduced: the trainer takes the mean."""

    loss_G: Tensor
    reward_C: Tensor
    """Implicit reward of each completion, detached; for metrics only."""
    target: Callable[[], Tensor] | None = None
    """Gives [C] log(policy / reference) at which the loss is least over all policies of all answers
    [nats], -inf where a probability ends at 0, or refuses. None: no closed form is known."""
