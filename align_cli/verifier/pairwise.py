"""Siblings compared two by two, by a judge that needs one reading of each."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from align_cli.model.reward_model import RewardModel
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.reading import read_answers
from align_cli.verifier.verdicts import graded, unscored

Summary = Callable[[Tensor], Tensor]
"""[K, K] log-odds that the row's answer is preferred to the column's -> [K] scores."""


def compared(
    model: RewardModel,
    prompts: Sequence[Prompt],
    siblings: Sequence[Sequence[Completion]],
    summary: Summary,
) -> list[Label]:
    """One label for each answer, set by set, in order; unreadable answers are compared with none.

    An answer without a readable sibling has nothing to be compared with and is unscored.
    """
    rows = [row for members in siblings for row in members]
    asked = [prompt for prompt, each in zip(prompts, siblings, strict=True) for _ in each]
    found = iter(read_answers(model, asked, rows))
    labels = []
    for members in siblings:
        logits = [next(found) for _ in members]
        read = [each for each in logits if isinstance(each, Tensor)]
        alone = len(read) < 2
        scores = iter([] if alone else summary(odds_between(model, torch.stack(read))).tolist())
        for row, each in zip(members, logits, strict=True):
            if isinstance(each, str):
                labels.append(unscored(row, "error", each))
            elif alone:
                labels.append(unscored(row, "error", "no sibling to be compared with"))
            else:
                labels.append(graded(row, next(scores)))
    return labels


def odds_between(model: RewardModel, logits_KD: Tensor) -> Tensor:
    """[K, K] log-odds that answer i is preferred to answer j, both orders averaged."""
    count = len(logits_KD)
    one, other = logits_KD.repeat_interleave(count, 0), logits_KD.repeat(count, 1)
    odds_KK = model.odds(one, other).reshape(count, count)
    # Skew-symmetric already; averaged, what is left of rounding cancels too.
    return (odds_KK - odds_KK.T) / 2
