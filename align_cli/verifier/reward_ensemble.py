"""Answers are scored by several reward models together."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from align_cli.errors import ConfigError
from align_cli.model.judge import Judge, ready
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.reading import read_answers
from align_cli.verifier.verdicts import scored, unscored


def reward_ensemble(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    device: str,
    say: Callable[[str], None],
    *,
    paths: tuple[str, ...],
    combine: Literal["mean", "min"],
    standardise: bool,
    threshold: float | None,
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[Label]:
    """The mean or the least of several reward models' scores; each model's own stand in `detail`.

        r_m    = score of model m, or (score - mean_m) / sd_m over its probe's answers
        score  = mean over m of r_m, or min over m of r_m

    The least is what an answer gets when it must convince every model. Models of other scales are
    comparable only when standardised. An answer that one model cannot read is unscored. Each model
    is examined by its probe, as in verifier=reward_model; filter=vote_strength asks the models how
    far they believe a pair.

    Source: Wang et al. 2024, arXiv:2401.06080 (Secrets of RLHF II): models that differ in the order
    of their pairs, whose mean and deviation are looked at. Weights that are learned per prompt or
    per round (constrained, hypervolume, router) are not offered.

    Settings:
        paths: two or more folders of reward models, say of `align train-rm seed=0`, `seed=1`, ...
        combine: mean or min.
        standardise: by mean and deviation over the answers of each model's probe.
        threshold: accepts from here on [score units]; null: it only grades.
        probe: one file of pairs for all; null: those beside each model's weights.
        min_probe_accuracy: share of the probe's pairs that each model must rank right; null: none
            is examined.
    """
    if len(paths) < 2:
        raise ConfigError(f"verifier.paths: got {len(paths)}, wanted two or more reward models")
    judges = [
        ready(
            path,
            None,
            head="reward",
            probe=probe,
            min_probe_accuracy=min_probe_accuracy,
            device=device,
            group="verifier",
            say=say,
        )
        for path in paths
    ]
    if standardise and any(judge.mean is None for judge in judges):
        raise ConfigError(
            "verifier.standardise=true takes the scale of each model from its probe; give "
            "verifier.probe=PAIRS.jsonl, or set standardise=false"
        )
    read = [read_answers(judge.model, prompts, completions) for judge in judges]
    return [
        _label(row, [found[place] for found in read], judges, combine, standardise, threshold)
        for place, row in enumerate(completions)
    ]


def _label(
    row: Completion,
    found: Sequence[Tensor | str],
    judges: Sequence[Judge],
    combine: str,
    standardise: bool,
    threshold: float | None,
) -> Label:
    scores = []
    for number, (each, judge) in enumerate(zip(found, judges, strict=True)):
        if isinstance(each, str):
            return unscored(row, "error", f"model {number}: {each}")
        score = float(each[0])
        if standardise:
            assert judge.mean is not None
            assert judge.spread is not None
            score = (score - judge.mean) / judge.spread
        scores.append(score)
    values = torch.tensor(scores, dtype=torch.float64)
    together = float(values.mean() if combine == "mean" else values.min())
    detail = " ".join(f"{score:.4g}" for score in scores)
    return scored(row, together, threshold, detail)
