"""The completions of a prompt side by side: ragged groups as the rows of a table.

G groups by K places, K that of the largest group; what lies in padding is 0 (a length: 1).
`share_GK` is 1 / size where a completion lies and 0 in padding: the mask of the table and the
distribution that a mean over siblings is taken under, in one. The functions of a share hold for
any distribution, so a tabular policy may put its own probabilities there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps
from align_cli.errors import RowError
from align_cli.loss.parts import Part
from align_cli.loss.reduction import wide


@dataclass(frozen=True, slots=True)
class Table:
    """Where each completion lies."""

    group_C: Tensor
    place_C: Tensor
    share_GK: Tensor

    def spread(self, value_C: Tensor, padding: float = 0.0) -> Tensor:
        """A value per completion, in its place."""
        blank = torch.full_like(self.share_GK, padding, dtype=value_C.dtype)
        return blank.index_put((self.group_C, self.place_C), value_C)

    def gather(self, value_GK: Tensor) -> Tensor:
        """[C]: the values back, padding left out."""
        return value_GK[self.group_C, self.place_C]


@dataclass(frozen=True, slots=True)
class Siblings:
    """What a loss on groups looks at; only the policy's log-probs carry a gradient."""

    table: Table
    logp_GK: Tensor
    """Under the policy [nats]."""
    reference_GK: Tensor
    """Under the reference [nats]; 0 where none was asked for."""
    length_GK: Tensor
    """[tokens]"""
    score_GK: Tensor
    """[score units]"""
    log_ratio_GK: Tensor
    """log(policy / reference) [nats]"""
    share_GK: Tensor


def side_by_side(
    groups: GroupLogps, ref_groups: GroupLogps | None, group_labels: GroupLabels
) -> Siblings:
    """Groups whose completions are compared with one another: a lone one is refused."""
    table = table_of(groups)
    size_G = (table.share_GK > 0).sum(1)
    if bool((size_G < 2).any()):
        lone = [place for place, size in enumerate(size_G.tolist()) if size < 2]
        raise RowError(
            f"loss: groups {lone} of the batch hold fewer than two completions, and this loss "
            "compares siblings; choose pairing=siblings, which leaves such prompts out"
        )
    logp_GK = table.spread(wide(groups.logp_C))
    reference_GK = torch.zeros_like(logp_GK)
    if ref_groups is not None:
        reference_GK = table.spread(wide(ref_groups.logp_C.detach()))
    score_GK = table.spread(wide(group_labels.score_C.detach()).to(logp_GK.dtype))
    return Siblings(
        table=table,
        logp_GK=logp_GK,
        reference_GK=reference_GK,
        length_GK=table.spread(groups.len_C, 1),
        score_GK=score_GK,
        log_ratio_GK=logp_GK - reference_GK,
        share_GK=table.share_GK,
    )


def table_of(groups: GroupLogps) -> Table:
    """The places of a batch's completions."""
    size_G = torch.bincount(groups.group_C, minlength=groups.groups)
    first_G = size_G.cumsum(0) - size_G
    place_C = torch.arange(len(groups.group_C), device=size_G.device) - first_G[groups.group_C]
    there_GK = torch.arange(int(size_G.max()), device=size_G.device) < size_G.unsqueeze(1)
    dtype = torch.promote_types(groups.logp_C.dtype, torch.float32)
    return Table(groups.group_C, place_C, there_GK.to(dtype) / size_G.unsqueeze(1))


def of_sum(value_GK: Tensor, siblings: Siblings) -> Tensor:
    """Of the whole completion [nats]."""
    return value_GK


def per_token(value_GK: Tensor, siblings: Siblings) -> Tensor:
    """Divided by the number of the completion's tokens [nats/token]."""
    if bool((siblings.length_GK < 1).any()):
        empty = [tuple(place) for place in (siblings.length_GK < 1).nonzero().tolist()]
        raise RowError(
            f"loss: {empty} of the batch (group, place) have an empty completion; a mean over no "
            "tokens is not a number. Drop them, or choose a loss on whole completions"
        )
    return value_GK / siblings.length_GK


REDUCTIONS: Final[Mapping[str, Part]] = {"sum": of_sum, "per_token": per_token}
"""As those of `reduction`, for completions side by side."""


def mean(value_GK: Tensor, share_GK: Tensor) -> Tensor:
    """[G]: the mean over the siblings."""
    return (share_GK * value_GK).sum(1)


def centred(value_GK: Tensor, share_GK: Tensor) -> Tensor:
    """Less the siblings' mean; 0 in padding."""
    return (value_GK - mean(value_GK, share_GK).unsqueeze(1)) * (share_GK > 0)


def gaps(value_GK: Tensor) -> Tensor:
    """[G, K, K]: value of i less value of j."""
    return value_GK.unsqueeze(2) - value_GK.unsqueeze(1)


def above(score_GK: Tensor, share_GK: Tensor) -> Tensor:
    """[G, K, K] bool: both are completions, and i scores higher than j. Ties are no pairs."""
    there_GK = share_GK > 0
    both_GKK = there_GK.unsqueeze(2) & there_GK.unsqueeze(1)
    return both_GKK & (score_GK.unsqueeze(2) > score_GK.unsqueeze(1))
