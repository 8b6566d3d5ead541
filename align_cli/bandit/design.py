"""Preferential G-optimal design: which arms to show, so that no arm's reward stays unknown."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import qr

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw, product
from align_cli.bandit.policy import centred_features
from align_cli.errors import AlignError, ConfigError

SUPPORT = 1e-12
"""A weight below it is none."""


class NotOptimal(AlignError):
    """A design without its certificate after all the steps it was given."""


@dataclass(frozen=True, slots=True)
class Design:
    """Weights of candidates, and the certificate of how near the best they are."""

    weight_N: Array
    rank: int
    """d: no design's largest leverage is below it (Kiefer, Wolfowitz 1960)."""
    max_leverage: float
    """Over all candidates, in or out of the design; between d and d (1 + tolerance)."""
    steps: int


def g_optimal(row_ND: Array, *, tolerance: float = 1e-3, max_steps: int = 20_000) -> Design:
    """Weights w that make the largest leverage z^T M(w)^-1 z of any row as small as it can be.

        M(w) = sum_i w_i z_i z_i^T;   min over w of the largest leverage = d = rank of the rows

    From d independent rows by Fedorov's exact line steps, towards the row of most leverage or away
    from that of least in the design, whichever is further from d; stops once the largest leverage
    is <= d (1 + tolerance). Rows that lack rank are taken within their span.

    Settings:
        tolerance: of the certificate, > 0.
        max_steps: after which the design is refused.

    Source: Fedorov 1972; Atwood 1973 (steps away); Kiefer, Wolfowitz 1960 (the certificate).
    """
    if tolerance <= 0:
        raise ConfigError(f"sampler g_optimal: tolerance is {tolerance}; it must be above 0")
    # Copies of a row have one leverage, so they are one candidate, whose weight they share.
    single_ND, single_N, copies = np.unique(row_ND, axis=0, return_inverse=True, return_counts=True)
    basis_NR = in_span(single_ND)
    rank = basis_NR.shape[1]
    weight_N = first_weights(basis_NR)
    for step in range(max_steps + 1):
        leverage_N = leverages(basis_NR, weight_N)
        most = int(leverage_N.argmax())
        if leverage_N[most] <= rank * (1 + tolerance):
            spread_N = (weight_N / copies)[single_N.ravel()]
            return Design(spread_N, rank, float(leverage_N[most]), step)
        inside_N = np.where(weight_N > SUPPORT, leverage_N, np.inf)
        least = int(inside_N.argmin())
        towards = leverage_N[most] - rank >= rank - inside_N[least] or weight_N[least] > 1 - 1e-9
        row = most if towards else least
        weight_N = moved(weight_N, row, float(leverage_N[row]), rank)
    raise NotOptimal(
        f"sampler g_optimal: after {max_steps} steps the largest leverage is "
        f"{leverage_N[most]:.6g}; wanted at most {rank} (1 + {tolerance:g}). Allow more steps or a "
        "larger tolerance"
    )


def first_weights(basis_NR: Array) -> Array:
    """Equal weights on d independent rows, the longest first: a start of little support.

    From equal weights on all rows, as many steps as there are rows go into emptying them.
    """
    rank = basis_NR.shape[1]
    _, _, order_N = qr(basis_NR.T, mode="economic", pivoting=True)
    weight_N = np.zeros(len(basis_NR))
    weight_N[order_N[:rank]] = 1 / rank
    return weight_N


def moved(weight_N: Array, row: int, leverage: float, rank: int) -> Array:
    """The step that makes det M largest; one away from a row stops where its weight is gone."""
    least = -weight_N[row] / (1 - weight_N[row])
    # At a leverage of 1 or less, det M grows all the way down to a weight of 0.
    size = max(least, (leverage / rank - 1) / (leverage - 1)) if leverage > 1 else least
    out = (1 - size) * weight_N
    out[row] += size
    out = np.where(out > SUPPORT, out, 0.0)
    out /= out.sum()
    return out


def in_span(row_ND: Array) -> Array:
    """The rows in an orthonormal basis of their span, scaled alike in every direction."""
    left_NR, value_R, _ = np.linalg.svd(row_ND, full_matrices=False)
    kept_R = value_R > value_R.max(initial=0) * 1e-10
    if not kept_R.any():
        raise ConfigError(
            "sampler g_optimal: all candidates have the same features, so no pair of them can "
            "teach anything; check the features, or choose another sampler"
        )
    out: Array = left_NR[:, kept_R]
    return out


def leverages(row_ND: Array, weight_N: Array) -> Array:
    """[N]: z^T M(w)^-1 z of every row."""
    moment_DD = (row_ND * weight_N[:, None]).T @ row_ND
    out: Array = np.einsum("na,an->n", row_ND, np.linalg.solve(moment_DD, row_ND.T))
    return out


def anchored_design(
    bandit: Bandit, log_policy_XK: Array, *, tolerance: float = 1e-3
) -> tuple[Array, Design]:
    """[X, K] weights over contexts and arms, of features centred at the policy; and the design.

    Labels see differences only, so an arm counts by how it differs from what the policy does:
    phi~ = phi - E_policy phi. **Reconstruction** of the paper's centring (arXiv:2601.08421).
    """
    row_ND = centred_features(bandit, log_policy_XK).reshape(-1, bandit.dimension)
    design = g_optimal(row_ND, tolerance=tolerance)
    return design.weight_N.reshape(log_policy_XK.shape), design


def hybrid(bandit: Bandit, log_policy_XK: Array) -> PairLaw:
    """y from the policy, y' from the design anchored at it; contexts as the design has them.

    E (phi - phi')(phi - phi')^T >= M(G), so every arm's reward is learnt alike well, whatever the
    policy covers. Where the design leaves out a context, so does the law.
    """
    weight_XK, _ = anchored_design(bandit, log_policy_XK)
    context_X, second_XK = conditional(weight_XK)
    return product(context_X, np.exp(log_policy_XK), second_XK)


def design_design(bandit: Bandit, log_policy_XK: Array) -> PairLaw:
    """G x G: both from the design anchored at the policy."""
    weight_XK, _ = anchored_design(bandit, log_policy_XK)
    context_X, second_XK = conditional(weight_XK)
    return product(context_X, second_XK, second_XK)


def pair_design(bandit: Bandit, *, tolerance: float = 1e-3) -> PairLaw:
    """G-optimal over pairs themselves, rows phi(y) - phi(y'): needs no policy."""
    feature_XKD = bandit.features
    places = [(x, i, j) for x in range(len(feature_XKD))
              for i, j in combinations(range(feature_XKD.shape[1]), 2)]  # fmt: skip
    x_N, i_N, j_N = np.array(places).T
    design = g_optimal(feature_XKD[x_N, i_N] - feature_XKD[x_N, j_N], tolerance=tolerance)
    contexts, arms = bandit.reward_XK.shape
    joint_XKK = np.zeros((contexts, arms, arms))
    joint_XKK[x_N, i_N, j_N] = design.weight_N
    context_X, second_XC = conditional(joint_XKK.reshape(contexts, -1))
    second_XKK = second_XC.reshape(contexts, arms, arms)
    mass_XK = second_XKK.sum(2)
    first_XKK = np.repeat(np.eye(arms)[None], contexts, 0)
    safe_XK1 = np.where(mass_XK > 0, mass_XK, 1)[:, :, None]
    blank_XKK = np.where(mass_XK[:, :, None] > 0, second_XKK / safe_XK1, 1 / arms)
    return PairLaw(context_X, mass_XK, first_XKK, blank_XKK)


def conditional(weight_XK: Array) -> tuple[Array, Array]:
    """(marginal of contexts, arms given the context); uniform in a context of weight 0."""
    context_X = weight_XK.sum(1)
    safe_X1 = np.where(context_X > 0, context_X, 1)[:, None]
    arms = weight_XK.shape[1]
    return context_X, np.where(context_X[:, None] > 0, weight_XK / safe_X1, 1 / arms)
