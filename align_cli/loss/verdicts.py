"""What unpaired losses share: right answers on one side of a threshold, wrong ones on the other."""

from collections.abc import Mapping
from typing import Annotated, Final

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from align_cli.batches import GroupLabels, GroupLogps
from align_cli.errors import RowError
from align_cli.loss.parts import Part
from align_cli.loss.reduction import wide
from align_cli.loss.siblings import mean, table_of

SideWeight = Annotated[float, ">= 0", "1"]


def value(lead_C: Tensor) -> Tensor:
    """1 - sigmoid(lead): bounded, so that a hopeless answer is given up. KTO, APO-zero."""
    return torch.sigmoid(-lead_C)


def classifier(lead_C: Tensor) -> Tensor:
    """-log sigmoid(lead): the likelihood of the verdict. BCO."""
    return -logsigmoid(lead_C)


COSTS: Final[Mapping[str, Part]] = {"value": value, "classifier": classifier}


def rights_of(group_labels: GroupLabels, loss: str) -> Tensor:
    """The verdicts; a judge that only grades has none."""
    if group_labels.right_C is None:
        raise RowError(
            f"loss={loss} asks which answers are right, and this verifier only grades; choose a "
            "verifier that accepts or rejects, or a loss on scores, e.g. loss=group_distillation"
        )
    return group_labels.right_C


def log_ratios_of(groups: GroupLogps, ref_groups: GroupLogps) -> Tensor:
    """log(policy / reference) of each completion; the reference gets no gradient."""
    return wide(groups.logp_C) - wide(ref_groups.logp_C.detach())


def apart(
    lead_C: Tensor,
    right_C: Tensor,
    groups: GroupLogps,
    *,
    cost: str,
    desirable_weight: float,
    undesirable_weight: float,
) -> Tensor:
    """[G]: mean over each group of weight cost(+-lead), + for right answers, - for wrong ones."""
    charged = COSTS[cost]
    right_cost_C = desirable_weight * charged(lead_C)
    wrong_cost_C = undesirable_weight * charged(-lead_C)
    table = table_of(groups)
    return mean(table.spread(torch.where(right_C, right_cost_C, wrong_cost_C)), table.share_GK)
