"""Laws of a pair: from which distribution the two answers to be compared are drawn.

A law is, in each context, a mixture of products: with chance mass_m, y ~ first_m and y' ~ second_m
independently. All samplers here are of that form, so their expectations are exact.
"""

from dataclasses import dataclass

import numpy as np

from align_cli.bandit.instance import Array, Bandit, Integers
from align_cli.bandit.policy import log_ratio


@dataclass(frozen=True, slots=True)
class PairLaw:
    """How contexts and pairs of arms are drawn."""

    context_X: Array
    mass_XM: Array
    first_XMK: Array
    second_XMK: Array

    @property
    def joint(self) -> Array:
        """[X, K, K]: probability of the ordered pair, given the context."""
        out: Array = np.einsum(
            "xm,xmi,xmj->xij", self.mass_XM, self.first_XMK, self.second_XMK, optimize=True
        )
        return out


def product(context_X: Array, first_XK: Array, second_XK: Array) -> PairLaw:
    """y ~ first and y' ~ second, independently."""
    return PairLaw(context_X, np.ones((len(context_X), 1)), first_XK[:, None], second_XK[:, None])


def on_policy(bandit: Bandit, log_policy_XK: Array) -> PairLaw:
    """Both from the policy."""
    return product(bandit.context_X, np.exp(log_policy_XK), np.exp(log_policy_XK))


def offline(bandit: Bandit) -> PairLaw:
    """Both from the reference, whatever the policy has become."""
    return on_policy(bandit, bandit.log_reference_XK)


def policy_reference(bandit: Bandit, log_policy_XK: Array) -> PairLaw:
    """One from the policy, one from the reference: XPO's pairing (Xie et al. 2024)."""
    return product(bandit.context_X, np.exp(log_policy_XK), np.exp(bandit.log_reference_XK))


def policy_uniform(bandit: Bandit, log_policy_XK: Array) -> PairLaw:
    """One from the policy, one from all arms alike."""
    policy_XK = np.exp(log_policy_XK)
    return product(bandit.context_X, policy_XK, np.full_like(policy_XK, 1 / policy_XK.shape[1]))


def uniform(bandit: Bandit) -> PairLaw:
    """Both from all arms alike: DPO-Unif."""
    share_XK = np.full_like(bandit.reward_XK, 1 / bandit.reward_XK.shape[1])
    return product(bandit.context_X, share_XK, share_XK)


def dpo_mix_r(bandit: Bandit) -> PairLaw:
    """Pairs of arms that the true reward sets far apart come more often.

    Probability ~ 2 + exp(d) + exp(-d) = 1 / (sigmoid(d) sigmoid(-d)), d = r(y) - r(y'): the weight
    that makes a logistic gradient linear. Source: Shi et al. 2024, arXiv:2409.19605;
    **reconstruction** of the mixture.
    """
    return tilted(bandit, bandit.reward_XK)


def dpo_mix_p(bandit: Bandit, log_policy_XK: Array) -> PairLaw:
    """As DPO-Mix-R, with the policy's implicit reward beta log(policy / reference) for r."""
    return tilted(bandit, bandit.beta * log_ratio(bandit, log_policy_XK))


def tilted(bandit: Bandit, reward_XK: Array) -> PairLaw:
    """Uniform pairs, pairs (exp(r), exp(-r)) and (exp(-r), exp(r)), each by its own weight."""
    arms = reward_XK.shape[1]
    centre_X1 = (reward_XK.max(1, keepdims=True) + reward_XK.min(1, keepdims=True)) / 2
    up_XK, down_XK = np.exp(reward_XK - centre_X1), np.exp(centre_X1 - reward_XK)
    up_X1, down_X1 = up_XK.sum(1, keepdims=True), down_XK.sum(1, keepdims=True)
    weight_XM = np.hstack([np.full_like(up_X1, 2.0 * arms**2), up_X1 * down_X1, up_X1 * down_X1])
    flat_XK = np.full_like(reward_XK, 1 / arms)
    first_XMK = np.stack([flat_XK, up_XK / up_X1, down_XK / down_X1], 1)
    second_XMK = np.stack([flat_XK, down_XK / down_X1, up_XK / up_X1], 1)
    mass_XM = weight_XM / weight_XM.sum(1, keepdims=True)
    return PairLaw(bandit.context_X, mass_XM, first_XMK, second_XMK)


def draw_arms(law: PairLaw, pairs: int, draws: np.random.Generator) -> Integers:
    """[P, 4]: context, first arm, second arm and how often, each distinct pair of `pairs` once."""
    arms = law.first_XMK.shape[2]
    cell_XM = law.context_X[:, None] * law.mass_XM
    many_XM = draws.multinomial(pairs, cell_XM.ravel() / cell_XM.sum()).reshape(cell_XM.shape)
    found = []
    for (x, m), many in np.ndenumerate(many_XM):
        first_K, second_K = law.first_XMK[x, m], law.second_XMK[x, m]
        if many >= arms**2:  # The counts of all cells at once: the same law, and far fewer draws.
            joint_C = np.outer(first_K, second_K).ravel()
            count_C = draws.multinomial(many, joint_C / joint_C.sum())
            cell_P = np.flatnonzero(count_C)
            count_P = count_C[cell_P]
        else:
            first_N = draws.choice(arms, many, p=first_K / first_K.sum())
            second_N = draws.choice(arms, many, p=second_K / second_K.sum())
            cell_P, count_P = np.unique(first_N * arms + second_N, return_counts=True)
        context_P = np.full_like(cell_P, x)
        found.append(np.stack([context_P, cell_P // arms, cell_P % arms, count_P], 1))
    out: Integers = np.concatenate(found).astype(np.int64)
    return out
