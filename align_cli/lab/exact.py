"""Losses in expectation: every pair that could be drawn, weighted by how likely it is.

The loss is that which the trainer calls, given pairs of exact log-probs in float64.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw
from align_cli.bandit.preference import win_probability
from align_cli.batches import GroupLabels, GroupLogps, PairLabels, PairLogps, PairLoss

ExactLoss = Callable[..., PairLoss]
"""A loss on pairs as a run composes it: takes pairs, ref_pairs and pair_labels by name."""


def expected_loss(bandit: Bandit, law: PairLaw, log_policy_XK: Tensor, loss: ExactLoss) -> Tensor:
    """E loss(winner, loser) over contexts, pairs of the law and Bradley-Terry labels.

    A pair of an arm with itself weighs nothing.
    """
    pair_B3, weight_B = labelled_pairs(bandit, law)
    reference_XK = torch.from_numpy(bandit.log_reference_XK)
    out = loss(
        pairs=pair_logps(log_policy_XK, pair_B3),
        ref_pairs=pair_logps(reference_XK, pair_B3),
        pair_labels=pair_labels(bandit, pair_B3),
    )
    return (weight_B * out.loss_B).sum()


def labelled_pairs(bandit: Bandit, law: PairLaw) -> tuple[Tensor, Tensor]:
    """[B, 3] (context, winner, loser), every one there is; and [B] how likely it is to be drawn."""
    joint_XKK = law.context_X[:, None, None] * law.joint
    weight_XKK = (joint_XKK + joint_XKK.transpose(0, 2, 1)) * win_probability(bandit)
    arms = weight_XKK.shape[1]
    weight_XKK[:, np.arange(arms), np.arange(arms)] = 0
    pair_B3 = np.argwhere(weight_XKK > 0)
    return torch.from_numpy(pair_B3), torch.from_numpy(weight_XKK[tuple(pair_B3.T)])


def pair_logps(log_policy_XK: Tensor, pair_B3: Tensor) -> PairLogps:
    """The log-probs of both sides; an arm is one token long."""
    context_B, chosen_B, rejected_B = pair_B3.unbind(1)
    one_B = torch.ones_like(context_B)
    return PairLogps(
        log_policy_XK[context_B, chosen_B], log_policy_XK[context_B, rejected_B], one_B, one_B
    )


def pair_labels(bandit: Bandit, pair_B3: Tensor) -> PairLabels:
    """The true rewards as the judge's scores."""
    context_B, chosen_B, rejected_B = pair_B3.unbind(1)
    reward_XK = torch.from_numpy(bandit.reward_XK)
    chosen_score_B, rejected_score_B = (
        reward_XK[context_B, chosen_B],
        reward_XK[context_B, rejected_B],
    )
    return PairLabels(chosen_score_B - rejected_score_B, chosen_score_B, rejected_score_B)


def group_logps(log_policy_XK: Tensor) -> GroupLogps:
    """Each context a group, each of its arms a completion one token long."""
    contexts, arms = log_policy_XK.shape
    group_C = torch.arange(contexts).repeat_interleave(arms)
    return GroupLogps(log_policy_XK.reshape(-1), torch.ones_like(group_C), group_C, contexts)


def group_labels(bandit: Bandit) -> GroupLabels:
    """The true rewards as the judge's scores, which only grades."""
    return GroupLabels(torch.from_numpy(bandit.reward_XK).reshape(-1), None)


def linear_log_probs(bandit: Bandit, parameter_D: Tensor) -> Tensor:
    """[X, K], differentiable in theta."""
    logit_XK = torch.from_numpy(bandit.log_reference_XK) + torch.from_numpy(bandit.features).matmul(
        parameter_D
    )
    return torch.log_softmax(logit_XK, 1)


def tabular_log_probs(bandit: Bandit, lift_XK: Tensor) -> Tensor:
    """[X, K], differentiable in u."""
    return torch.log_softmax(torch.from_numpy(bandit.log_reference_XK) + lift_XK, 1)


def gradient_of(value: Tensor, parameter: Tensor) -> Array:
    """By automatic differentiation."""
    (out,) = torch.autograd.grad(value, parameter)
    array: Array = out.numpy()
    return array
