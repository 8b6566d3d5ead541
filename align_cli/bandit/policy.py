"""Policies of a bandit, as exact log-probs: linear-softmax, tabular, and the best one."""

import numpy as np

from align_cli.bandit.instance import Array, Bandit


def linear_softmax(bandit: Bandit, parameter_D: Array) -> Array:
    """[X, K] log-probs of pi ~ reference exp(<theta, phi>); theta = 0 is the reference."""
    return normalised(bandit.log_reference_XK + bandit.features @ parameter_D)


def tabular(bandit: Bandit, lift_XK: Array) -> Array:
    """[X, K] log-probs of pi ~ reference exp(u), one u per context and arm."""
    return normalised(bandit.log_reference_XK + lift_XK)


def optimum(bandit: Bandit) -> Array:
    """[X, K] log-probs of pi* ~ reference exp(reward / beta), the best policy on the leash."""
    return tabular(bandit, bandit.reward_XK / bandit.beta)


def log_ratio(bandit: Bandit, log_policy_XK: Array) -> Array:
    """log(policy / reference) [nats]; times beta it is the implicit reward."""
    return log_policy_XK - bandit.log_reference_XK


def kl(bandit: Bandit, log_p_XK: Array, log_q_XK: Array) -> float:
    """KL(p || q), the mean over contexts [nats]."""
    p_XK = np.exp(log_p_XK)
    # p log(p/q) - p + q is at least 0 arm by arm, so that rounding cannot make the sum negative.
    term_XK = p_XK * (log_p_XK - log_q_XK) - p_XK + np.exp(log_q_XK)
    return max(0.0, float(bandit.context_X @ term_XK.sum(1)))


def kl_to_optimum(bandit: Bandit, log_policy_XK: Array) -> float:
    """KL(pi* || policy) [nats]: how much of the best policy is missed."""
    return kl(bandit, optimum(bandit), log_policy_XK)


def feature_covariance(bandit: Bandit, log_policy_XK: Array) -> Array:
    """[D, D]: V = E_x Cov_policy(phi), which is the Fisher information of a linear softmax."""
    share_XK = np.exp(log_policy_XK)
    centred_XKD = centred_features(bandit, log_policy_XK)
    weight_XK = bandit.context_X[:, None] * share_XK
    out: Array = np.einsum("xk,xka,xkb->ab", weight_XK, centred_XKD, centred_XKD)
    return out


def centred_features(bandit: Bandit, log_policy_XK: Array) -> Array:
    """[X, K, D]: phi less its mean under the policy, of each context."""
    mean_XD = np.einsum("xk,xkd->xd", np.exp(log_policy_XK), bandit.features)
    centred: Array = bandit.features - mean_XD[:, None]
    return centred


def normalised(logit_XK: Array) -> Array:
    """log softmax over the last axis."""
    shifted = logit_XK - logit_XK.max(-1, keepdims=True)
    out: Array = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return out
