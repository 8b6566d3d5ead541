"""What a batch of groups has to tell: the loss, and how the best fare against the worst."""

from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.train.numbers import Numbers, mean


def group_numbers(
    out: GroupLoss,
    groups: GroupLogps,
    labels: GroupLabels,
    references: GroupLogps | None,
    mismatch_logratio_G: Tensor | None,
) -> Numbers:
    """Means over groups; log-ratios are policy minus reference [nats].

    `chosen_...` is of a group's completions with its highest score and `rejected_...` of those with
    its lowest, so that they mean for a group of two what they mean for a pair. Groups whose scores
    all tie have neither and weigh nothing there. `accuracy` is over the pairs of siblings with
    different scores: the share whose implicit rewards stand in the order of the scores, a tie of
    rewards being half right.
    """
    found = {
        "loss": (mean(out.loss_G), len(out.loss_G)),
        "reward": (mean(out.reward_C), len(out.reward_C)),
        "accuracy": _accuracy(out.reward_C, labels.score_C, groups.group_C),
    }
    ends = _Ends(labels.score_C, groups)
    found |= {
        "best_reward": ends.best(out.reward_C),
        "worst_reward": ends.worst(out.reward_C),
        "reward_margin": ends.gap(out.reward_C),
        "chosen_logp_nats": ends.best(groups.logp_C),
        "rejected_logp_nats": ends.worst(groups.logp_C),
    }
    if references is not None:
        ratio_C = groups.logp_C - references.logp_C
        found |= {
            "logratio_nats": (mean(ratio_C), len(ratio_C)),
            "chosen_logratio_nats": ends.best(ratio_C),
            "rejected_logratio_nats": ends.worst(ratio_C),
            "chosen_fallen_share": ends.best((ratio_C < 0).float()),
        }
    if mismatch_logratio_G is not None:
        found["mismatch_logratio_nats"] = (mean(mismatch_logratio_G), len(mismatch_logratio_G))
    return found


class _Ends:
    """The completions with the highest and with the lowest score of every group that has both."""

    def __init__(self, score_C: Tensor, groups: GroupLogps) -> None:
        self._group_C, self._groups = groups.group_C, groups.groups
        high_G, low_G = self._extreme(score_C, "amax"), self._extreme(score_C, "amin")
        self._open_G = high_G > low_G
        self._count = int(self._open_G.sum())
        self._best_C = (score_C == high_G[self._group_C]).double()
        self._worst_C = (score_C == low_G[self._group_C]).double()

    def best(self, value_C: Tensor) -> tuple[float, float]:
        """The mean over groups of the mean over a group's best."""
        return self._mean(self._of(value_C, self._best_C))

    def worst(self, value_C: Tensor) -> tuple[float, float]:
        """The same of a group's worst."""
        return self._mean(self._of(value_C, self._worst_C))

    def gap(self, value_C: Tensor) -> tuple[float, float]:
        """The mean over groups of best minus worst."""
        return self._mean(self._of(value_C, self._best_C) - self._of(value_C, self._worst_C))

    def _extreme(self, score_C: Tensor, which: str) -> Tensor:
        empty_G = score_C.new_zeros(self._groups)
        return empty_G.scatter_reduce(0, self._group_C, score_C, which, include_self=False)

    def _of(self, value_C: Tensor, share_C: Tensor) -> Tensor:
        zero_G = share_C.new_zeros(self._groups)
        sum_G = zero_G.index_add(0, self._group_C, share_C * value_C.detach().double())
        return sum_G / zero_G.index_add(0, self._group_C, share_C)

    def _mean(self, value_G: Tensor) -> tuple[float, float]:
        kept = value_G[self._open_G]
        return (float(kept.mean()) if self._count else 0.0, self._count)


def _accuracy(reward_C: Tensor, score_C: Tensor, group_C: Tensor) -> tuple[float, float]:
    same_CC = group_C[:, None] == group_C[None, :]
    better_CC = same_CC & (score_C[:, None] > score_C[None, :])
    gap_CC = reward_C.detach()[:, None] - reward_C.detach()[None, :]
    right = float((better_CC & (gap_CC > 0)).sum() + 0.5 * (better_CC & (gap_CC == 0)).sum())
    count = int(better_CC.sum())
    return (right / count if count else 0.0, count)
