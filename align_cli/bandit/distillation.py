"""Reward distillation by least squares: implicit rewards differ as true (or noisy) rewards do.

    minimise over pairs  (beta (u(y) - u(y')) - (r(y) - r(y')))^2,   u = log(policy / reference)

Source: Fisch et al. 2024, arXiv:2405.19316 (the square); Gao et al. 2024, arXiv:2404.16767.
"""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import lsqr

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw, draw_arms
from align_cli.bandit.preference import PairCounts, feature_differences


def draw_gaps(
    bandit: Bandit, law: PairLaw, pairs: int, draws: np.random.Generator, *, noise: float = 0.0
) -> tuple[PairCounts, Array]:
    """Pairs by the law, and the mean reward gap seen of each distinct one.

    Settings:
        noise: standard deviation of one gap's error [reward units]; 0 shows the true gaps.
    """
    arms_P4 = draw_arms(law, pairs, draws)
    same_P = arms_P4[:, 1] == arms_P4[:, 2]
    context_P, first_P, second_P, total_P = arms_P4[~same_P].T
    gap_P = bandit.reward_XK[context_P, first_P] - bandit.reward_XK[context_P, second_P]
    error_P = draws.normal(0.0, noise / np.sqrt(total_P))
    identical = int(arms_P4[same_P, 3].sum())
    blank_P = np.zeros_like(total_P)
    return PairCounts(context_P, first_P, second_P, blank_P, total_P, identical), gap_P + error_P


def distil_linear(bandit: Bandit, counts: PairCounts, gap_P: Array) -> Array:
    """[D]: theta of least squares, of least norm where pairs leave directions open."""
    root_P = np.sqrt(counts.total_P)
    row_PD = bandit.beta * feature_differences(bandit, counts) * root_P[:, None]
    found_D = np.linalg.lstsq(row_PD, gap_P * root_P, rcond=1e-10)[0]
    return found_D.astype(np.float64)


def distil_tabular(bandit: Bandit, counts: PairCounts, gap_P: Array) -> Array:
    """[X, K]: u of least squares, one per arm; 0 for arms that no pair shows."""
    contexts, arms = bandit.reward_XK.shape
    pairs = len(gap_P)
    root_P = np.sqrt(counts.total_P)
    row_P = np.arange(pairs)
    first_P, second_P = (
        counts.context_P * arms + side for side in (counts.first_P, counts.second_P)
    )
    table_PC = csr_matrix(
        (np.r_[root_P, -root_P], (np.r_[row_P, row_P], np.r_[first_P, second_P])),
        shape=(pairs, contexts * arms),
    )
    reward_C = lsqr(table_PC, gap_P * root_P, atol=1e-13, btol=1e-13, iter_lim=20_000)[0]
    out: Array = reward_C.reshape(contexts, arms) / bandit.beta
    return out


def mean_deviation(bandit: Bandit, log_share_XK: Array, lift_XK: Array) -> float:
    """E |dev - E dev| under `share`, dev = beta u - r: how far implicit rewards are from true."""
    deviation_XK = bandit.beta * lift_XK - bandit.reward_XK
    share_XK = np.exp(log_share_XK)
    centred_XK = deviation_XK - (share_XK * deviation_XK).sum(1, keepdims=True)
    return float(bandit.context_X @ (share_XK * np.abs(centred_XK)).sum(1))
