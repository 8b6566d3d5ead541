"""Several reward models asked together: their scores on one scale, and labels that keep them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from align_cli.errors import AlignError, ConfigError
from align_cli.model.judge import Judge, Say, ready_all
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.reading import read_answers
from align_cli.verifier.verdicts import scored, unscored

Weights = tuple[float, ...]
Combine = Callable[[int, Tensor], tuple[float, Weights | None]]
"""(place of the answer, [M] scores) -> the score, and the weights that it is a sum by, if any."""


def member_scores(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    device: str,
    say: Say,
    *,
    paths: Sequence[str],
    standardise: bool,
    probe: str | None,
    min_probe_accuracy: float | None,
) -> list[Tensor | str]:
    """[M] scores of every answer in float64, one of each model, or why one model gives none.

    Standardised is (score - mean) / deviation over the answers of each model's probe.
    """
    judges = ready_all(
        paths,
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
        device=device,
        group="verifier",
        say=say,
    )
    if standardise and any(judge.mean is None for judge in judges):
        raise ConfigError(
            "verifier.standardise=true takes the scale of each model from its probe; give "
            "verifier.probe=PAIRS.jsonl, or set standardise=false"
        )
    read = [read_answers(judge.model, prompts, completions) for judge in judges]
    return [
        _together([found[place] for found in read], judges, standardise)
        for place in range(len(completions))
    ]


def _together(
    found: Sequence[Tensor | str], judges: Sequence[Judge], standardise: bool
) -> Tensor | str:
    scores = []
    for number, (each, judge) in enumerate(zip(found, judges, strict=True)):
        if isinstance(each, str):
            return f"model {number}: {each}"
        score = float(each[0])
        if standardise:
            assert judge.mean is not None
            assert judge.spread is not None
            score = (score - judge.mean) / judge.spread
        scores.append(score)
    return torch.tensor(scores, dtype=torch.float64)


def combined(
    completions: Sequence[Completion],
    found: Sequence[Tensor | str],
    combine: Combine,
    threshold: float | None,
) -> list[Label]:
    """One label an answer; an answer that one model cannot read is unscored (`error`)."""
    return [
        unscored(row, "error", each)
        if isinstance(each, str)
        else _label(row, each, *combine(place, each), threshold)
        for place, (row, each) in enumerate(zip(completions, found, strict=True))
    ]


def _label(
    row: Completion,
    scores_M: Tensor,
    score: float,
    weights: Weights | None,
    threshold: float | None,
) -> Label:
    detail = " ".join(f"{each:.4g}" for each in scores_M.tolist())
    return scored(row, score, threshold, detail, tuple(scores_M.tolist()), weights)


def by_weights(weights: Weights) -> Combine:
    """score = sum over m of weights_m r_m, the same weights for every answer."""
    weights_M = torch.tensor(weights, dtype=torch.float64)
    return lambda _, scores_M: (float(weights_M @ scores_M), weights)


def means_by_round(earlier: Sequence[Sequence[Label]], members: int) -> list[Tensor]:
    """[M] means of the members' scores over the judged labels of each finished round."""
    found = []
    for number, labels in enumerate(earlier):
        scores = [label.member_scores for label in labels if label.score is not None]
        if not scores or any(each is None or len(each) != members for each in scores):
            raise AlignError(
                f"the labels of round {number} do not hold scores of {members} reward models, so "
                "weights cannot follow from them; this run took that round over from one of "
                "another verifier: begin at round 0, or name a verifier with fixed weights"
            )
        found.append(torch.tensor(scores, dtype=torch.float64).mean(0))
    return found
