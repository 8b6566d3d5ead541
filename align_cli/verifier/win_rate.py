"""An answer's score is its mean chance of beating its siblings."""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from torch import Tensor

from align_cli.model.judge import ready
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.pairwise import compared


def win_rate(
    prompts: Sequence[Prompt],
    siblings: Sequence[Sequence[Completion]],
    device: str,
    say: Callable[[str], None],
    *,
    path: str,
    revision: str | None,
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[Label]:
    """SPO's reward: the mean probability that a judge prefers an answer to its siblings.

        score_i = 1 / (K - 1) sum over j != i of P(y_i > y_j)          in [0, 1]

    P is a preference model's, or a reward model's sigmoid(r_i - r_j). P(i > j) = 1 - P(j > i), so
    the scores of a prompt have the mean 1/2: what every loss on win rates (SPPO) asks for. It does
    not need the preferences to be transitive: siblings that beat each other in a circle all get
    1/2. Held-out answers want another verifier.

    An answer that the judge cannot read is unscored and nobody is compared with it.

    Source: Swamy et al. 2024, arXiv:2401.04056 (SPO).

    Settings:
        path: a folder that `align train-rm` made, by either objective.
        revision, probe, min_probe_accuracy: as of verifier=reward_model.
    """
    judge = ready(
        path,
        revision,
        head="either",
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
        device=device,
        group="verifier",
        say=say,
    )
    return compared(judge.model, prompts, siblings, mean_win_rate)


def mean_win_rate(odds_KK: Tensor) -> Tensor:
    """[K] mean of sigmoid(log-odds) over the others."""
    wins_KK = torch.sigmoid(odds_KK)
    return (wins_KK.sum(1) - wins_KK.diagonal()) / (len(wins_KK) - 1)
