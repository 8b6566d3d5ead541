"""What decides how fast a sampler learns: coverage, information, and the error they predict."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import expit

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw
from align_cli.bandit.policy import centred_features, feature_covariance, optimum
from align_cli.errors import ConfigError


def coverage_trace(bandit: Bandit, log_policy_XK: Array) -> float:
    """tr(V* V_policy^-1): d at the optimum, large where the policy hardly plays what counts."""
    target_DD = feature_covariance(bandit, optimum(bandit))
    policy_DD = feature_covariance(bandit, log_policy_XK)
    return float(np.trace(np.linalg.solve(policy_DD, target_DD)))


def coverage_supremum(bandit: Bandit, log_policy_XK: Array) -> float:
    """Largest leverage of any arm in V_policy, its features centred at the policy."""
    return float(leverage(bandit, log_policy_XK, feature_covariance(bandit, log_policy_XK)).max())


def density_supremum(bandit: Bandit, log_policy_XK: Array) -> float:
    """Largest pi*(y) / policy(y)."""
    return float(np.exp((optimum(bandit) - log_policy_XK).max()))


def leverage(bandit: Bandit, log_policy_XK: Array, moment_DD: Array) -> Array:
    """[X, K]: phi~^T M^-1 phi~, phi~ = phi - E_policy phi."""
    centred_XKD = centred_features(bandit, log_policy_XK)
    out: Array = np.einsum("xka,ab,xkb->xk", centred_XKD, np.linalg.inv(moment_DD), centred_XKD)
    return out


def information(bandit: Bandit, law: PairLaw) -> Array:
    """[D, D]: I = beta^2 E sigmoid'(r gap) dphi dphi^T, what one label tells of theta."""
    gap_XKK = bandit.reward_XK[:, :, None] - bandit.reward_XK[:, None, :]
    weight_XKK = law.context_X[:, None, None] * law.joint * expit(gap_XKK) * expit(-gap_XKK)
    out = np.zeros((bandit.dimension, bandit.dimension))
    for weight_KK, feature_KD in zip(weight_XKK, bandit.features, strict=True):
        both_K = weight_KK.sum(0) + weight_KK.sum(1)
        cross_DD = feature_KD.T @ (weight_KK @ feature_KD)
        out += (feature_KD * both_K[:, None]).T @ feature_KD - cross_DD - cross_DD.T
    return bandit.beta**2 * out


def kl_constant(bandit: Bandit, law: PairLaw) -> float:
    """lim n E KL(pi* || fitted policy) = tr(V* I^-1) / 2 [nats x pairs].

    **Reconstruction**: the delta method on the maximum likelihood estimate; holds once n is large.
    """
    information_DD = information(bandit, law)
    values = np.linalg.eigvalsh(information_DD)
    if values[0] <= values[-1] * 1e-14:
        raise ConfigError(
            f"bandit: the sampler's information has eigenvalues {values[0]:.3g} to "
            f"{values[-1]:.3g}; its pairs leave a direction of the features unseen, so no number "
            "of them suffices"
        )
    target_DD = feature_covariance(bandit, optimum(bandit))
    return float(np.trace(np.linalg.solve(information_DD, target_DD)) / 2)


def predicted_kl(bandit: Bandit, law: PairLaw, pairs: int) -> float:
    """E KL(pi* || fitted policy) after that many pairs [nats]."""
    return kl_constant(bandit, law) / pairs


def contraction_factors(errors: Sequence[float]) -> tuple[float, ...]:
    """error of a round / error of the one before; below 1 it shrinks."""
    return tuple(later / before for before, later in pairwise(errors))
