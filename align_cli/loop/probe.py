"""One call of what only a call can refuse: the loss on two examples, a judge on nothing."""

from collections.abc import Sequence
from typing import Any

import torch

from align_cli.batches import (
    GroupLabels,
    GroupLogps,
    GroupLoss,
    PairActivations,
    PairLabels,
    PairLogps,
    PairLoss,
    PairTokenKLs,
    PairTokenMasks,
    PairTokens,
)
from align_cli.config.units import JUDGED
from align_cli.errors import ConfigError
from align_cli.loop.context import Part
from align_cli.rows import Rubric


def probe_loss(loss: Part) -> None:
    """Raise ConfigError unless the loss gives one finite value per example at the reference."""
    offer, wanted = OFFERED[loss.unit]
    out = loss(**offer)
    unit, name = loss.unit[:-1], wanted.__name__
    if not isinstance(out, wanted):
        raise ConfigError(f"loss {loss.target} must return a {name}, got {type(out).__name__}")
    loss_N = out.loss_B if isinstance(out, PairLoss) else out.loss_G
    if loss_N.shape != (2,):
        raise ConfigError(
            f"loss {loss.target} must return a {name} with one value per {unit}, got the shape "
            f"{tuple(loss_N.shape)} for 2 {loss.unit}"
        )
    if isinstance(out, GroupLoss) and out.reward_C.shape != (5,):
        raise ConfigError(
            f"loss {loss.target} must give one implicit reward per completion, got the shape "
            f"{tuple(out.reward_C.shape)} for 5 completions"
        )
    if not bool(loss_N.isfinite().all()):
        raise ConfigError(
            f"loss {loss.target} is {loss_N.tolist()} where policy and reference agree; "
            f"check its settings {dict(loss.settings)}"
        )


def probe_judges(judges: Sequence[Part]) -> None:
    """Ask each judge about nothing: settings are refused, a model is read and examined, up front.

    Judges are verifiers, and what else brings a model or looks at all pairs of a round.
    """
    for part in judges:
        if part.unit in JUDGED or part.needs & {"device", "round_pairs"}:
            offer: dict[str, Any] = {
                "prompts": [],
                "completions": [],
                "siblings": [],
                "earlier": [],
                "rubric": Rubric(version=1, text=str(part.loop_settings.get("rubric", ""))),
            }
            part(**offer, round_pairs=[], answers={}, policy=None, seed=0)


def _pairs() -> dict[str, Any]:
    logps = PairLogps(
        torch.tensor([-10.0, -20.0]),
        torch.tensor([-12.0, -18.0]),
        torch.tensor([5, 9]),
        torch.tensor([6, 8]),
    )
    visits = torch.tensor([3, 2])
    labels = PairLabels(torch.ones(2), torch.ones(2), torch.zeros(2), visits, visits - 1)
    whole = {"pairs": logps, "ref_pairs": logps, "start_pairs": logps, "pair_labels": labels}
    return whole | _tokens() | _fresh()


def _fresh() -> dict[str, Any]:
    """Two fresh answers for either pair."""
    logp_C, length_C = torch.tensor([-10.0, -20.0, -12.0, -18.0]), torch.tensor([5, 9, 6, 8])
    fresh = GroupLogps(logp_C, length_C, torch.tensor([0, 0, 1, 1]), 2)
    return {"fresh": fresh, "ref_fresh": fresh}


def _tokens() -> dict[str, Any]:
    """The pairs by token, the second one's sides of different lengths."""
    tokens_BT = torch.tensor([[-1.0, -2.0, -0.5], [-1.0, -3.0, 0.0]])
    mask_BT = torch.tensor([[True, True, True], [True, True, False]])
    whole_BT = torch.ones(2, 3, dtype=torch.bool)
    tokens = PairTokens(tokens_BT, tokens_BT - 1.0, mask_BT, whole_BT, torch.tensor([0, 1]))
    nothing_BT = torch.zeros(2, 3)
    active_BTL = torch.arange(6.0).reshape(2, 3, 1)
    return {
        "tokens": tokens,
        "ref_tokens": tokens,
        "token_kls": PairTokenKLs(nothing_BT, nothing_BT),
        "ref_activations": PairActivations(active_BTL, active_BTL),
        "token_masks": PairTokenMasks(*[torch.ones(2, 3)] * 4),
    }


def _groups() -> dict[str, Any]:
    """Groups of two and of three completions, one right and one wrong in each.

    Their probabilities sum to 1, for losses of groups that hold every answer.
    """
    logps = GroupLogps(
        torch.tensor([0.3, 0.7, 0.2, 0.5, 0.3]).log(),
        torch.tensor([5, 9, 6, 8, 4]),
        torch.tensor([0, 0, 1, 1, 1]),
        2,
    )
    score_C = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
    return {
        "groups": logps,
        "ref_groups": logps,
        "group_labels": GroupLabels(score_C, score_C > 0.5),
        "mismatch_logratio_G": torch.zeros(2),
    }


OFFERED: dict[str, tuple[dict[str, Any], type[PairLoss] | type[GroupLoss]]] = {
    "pairs": (_pairs(), PairLoss),
    "groups": (_groups(), GroupLoss),
}
"""{what a loss trains on: (two examples of it, what the loss returns)}"""
