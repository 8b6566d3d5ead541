"""A bandit: contexts, arms, features of arms, a reference policy and rewards, all of it known.

Shapes: X contexts, K arms, D features, P pairs (folded: each distinct pair once), M products.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from align_cli.errors import ConfigError

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

REALISABLE = 1e-8
"""Largest misfit of a reward that still counts as linear in the features [reward units]."""


@dataclass(frozen=True, slots=True)
class Bandit:
    """A finite problem whose best policy under a leash is known exactly."""

    context_X: Array
    """How often each context comes; a distribution."""
    log_reference_XK: Array
    """log-probs of the reference, every arm above probability 0 [nats]."""
    reward_XK: Array
    """[reward units]"""
    beta: float
    """Inverse temperature of the leash, > 0 [reward units/nat]."""
    feature_XKD: Array | None = None
    """None where arms have no features: such a bandit has tabular policies only."""

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ConfigError(f"bandit: beta is {self.beta}; it must be above 0")
        shape = self.log_reference_XK.shape
        if len(shape) != 2 or self.reward_XK.shape != shape or self.context_X.shape != shape[:1]:
            raise ConfigError(
                f"bandit: contexts {self.context_X.shape}, reference {shape} and rewards "
                f"{self.reward_XK.shape} do not fit; wanted [X], [X, K], [X, K]"
            )
        if not np.isfinite(self.reward_XK).all():
            raise ConfigError("bandit: a reward is not a finite number")
        check_distribution(self.context_X, "contexts")
        check_reference(self.log_reference_XK)
        if self.feature_XKD is not None:
            check_rank(self.feature_XKD)

    @property
    def features(self) -> Array:
        """[X, K, D]; refused where there are none."""
        if self.feature_XKD is None:
            raise ConfigError(
                "bandit: this instance has no features, so policy=linear_softmax and designs have "
                "nothing to work on; choose policy=tabular, or an instance with features"
            )
        return self.feature_XKD

    @property
    def dimension(self) -> int:
        """D, which is also the rank of the features' differences."""
        return int(self.features.shape[2])


def check_distribution(share_X: Array, what: str) -> None:
    """Not below 0, and summing to 1."""
    if (share_X < 0).any() or abs(float(share_X.sum()) - 1) > 1e-9:
        raise ConfigError(
            f"bandit: {what} are weighted {share_X.min():.3g} at least and {share_X.sum():.9g} in "
            "all; wanted a distribution: none below 0, 1 in all"
        )


def check_reference(log_reference_XK: Array) -> None:
    """Every arm has a probability above 0: else its log-ratio is not a number."""
    zero = np.argwhere(~np.isfinite(log_reference_XK))
    if len(zero):
        raise ConfigError(
            f"bandit: the reference gives probability 0 to {len(zero)} arms, the first of them "
            f"(context, arm) {tuple(zero[0].tolist())}; no policy on a leash can reach them. "
            "Leave such arms out, or give them a probability"
        )
    total_X = np.exp(log_reference_XK).sum(1)
    if np.abs(total_X - 1).max() > 1e-9:
        raise ConfigError(
            f"bandit: the reference's probabilities sum to {total_X.min():.9g} in some context; "
            "wanted 1"
        )


def check_rank(feature_XKD: Array) -> None:
    """The differences between arms of a context, which are all that labels see, span R^D."""
    dimension = feature_XKD.shape[2]
    difference_ND = (feature_XKD - feature_XKD[:, :1]).reshape(-1, dimension)
    values = np.linalg.svd(difference_ND, compute_uv=False)
    rank = int((values > values.max(initial=0) * 1e-10).sum()) if len(values) else 0
    if rank < dimension:
        raise ConfigError(
            f"bandit: differences of features have rank {rank}, and there are {dimension} "
            f"features (singular values down to {values.min(initial=0):.3g}); the parameter cannot "
            "be identified. Drop dependent features and those constant within every context"
        )


def check_pairs(bandit: Bandit, pairs: int) -> None:
    """Fewer pairs than features cannot determine a parameter, whatever they show."""
    if pairs < bandit.dimension:
        raise ConfigError(
            f"bandit: {pairs} pairs for {bandit.dimension} features; take at least "
            f"{bandit.dimension} pairs per round"
        )


def true_parameter(bandit: Bandit) -> Array:
    """theta* of reward = beta <theta*, phi> + a constant per context; refused if there is none."""
    parameter_D, misfit = nearest_parameter(bandit)
    if misfit > REALISABLE:
        raise ConfigError(
            f"bandit: the reward is not linear in the features: the nearest linear one misses by "
            f"{misfit:.3g} (largest, centred per context); wanted at most {REALISABLE:g}. Compare "
            "with the nearest linear reward, or choose policy=tabular"
        )
    return parameter_D


def nearest_parameter(bandit: Bandit) -> tuple[Array, float]:
    """Least squares over arms, centred per context; and the largest residual [reward units]."""
    feature_XKD = bandit.features
    centred_XKD = feature_XKD - feature_XKD.mean(1, keepdims=True)
    reward_XK = bandit.reward_XK - bandit.reward_XK.mean(1, keepdims=True)
    flat_ND = bandit.beta * centred_XKD.reshape(-1, bandit.dimension)
    parameter_D: Array = np.linalg.lstsq(flat_ND, reward_XK.ravel(), rcond=None)[0]
    return parameter_D, float(np.abs(flat_ND @ parameter_D - reward_XK.ravel()).max())
