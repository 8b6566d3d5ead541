"""Bradley-Terry labels: which of two arms is preferred, and the record of many such labels."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from align_cli.bandit.instance import Array, Bandit, Integers
from align_cli.bandit.law import PairLaw, draw_arms


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Labelled pairs, folded: how often the first arm won of how many times it was compared."""

    context_P: Integers
    first_P: Integers
    second_P: Integers
    wins_P: Integers
    total_P: Integers
    identical: int
    """Pairs of an arm with itself: drawn and paid for, but without a label that could teach."""

    @property
    def drawn(self) -> int:
        """How many pairs were asked for."""
        return int(self.total_P.sum()) + self.identical

    def and_(self, more: "PairCounts") -> "PairCounts":
        """Both records: what accumulating over rounds means."""
        return PairCounts(
            np.concatenate([self.context_P, more.context_P]),
            np.concatenate([self.first_P, more.first_P]),
            np.concatenate([self.second_P, more.second_P]),
            np.concatenate([self.wins_P, more.wins_P]),
            np.concatenate([self.total_P, more.total_P]),
            self.identical + more.identical,
        )


def win_probability(bandit: Bandit) -> Array:
    """[X, K, K]: sigmoid(r(y) - r(y')), that y is preferred to y'."""
    out: Array = expit(bandit.reward_XK[:, :, None] - bandit.reward_XK[:, None, :])
    return out


def draw_preferences(
    bandit: Bandit, law: PairLaw, pairs: int, draws: np.random.Generator
) -> PairCounts:
    """Pairs by the law, each labelled once by a Bradley-Terry judge of the true rewards."""
    arms_P4 = draw_arms(law, pairs, draws)
    same_P = arms_P4[:, 1] == arms_P4[:, 2]
    context_P, first_P, second_P, total_P = arms_P4[~same_P].T
    gap_P = bandit.reward_XK[context_P, first_P] - bandit.reward_XK[context_P, second_P]
    wins_P = draws.binomial(total_P, expit(gap_P))
    identical = int(arms_P4[same_P, 3].sum())
    return PairCounts(context_P, first_P, second_P, wins_P, total_P, identical)


def feature_differences(bandit: Bandit, counts: PairCounts) -> Array:
    """[P, D]: phi(first) - phi(second)."""
    feature_XKD = bandit.features
    first_PD = feature_XKD[counts.context_P, counts.first_P]
    out: Array = first_PD - feature_XKD[counts.context_P, counts.second_P]
    return out
