"""Answers are scored by several reward models together."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.members import by_weights, combined, member_scores


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
    """The mean or the least of several reward models' scores; each model's own stand on the label.

        r_m    = score of model m, or (score - mean_m) / sd_m over its probe's answers
        score  = mean over m of r_m, or min over m of r_m

    The least is what an answer gets when it must convince every model. Models of other scales are
    comparable only when standardised. An answer that one model cannot read is unscored. Each model
    is examined by its probe, as in verifier=reward_model; filter=vote_strength asks the models how
    far they believe a pair. Weights that move: verifier=reward_constrained, reward_hypervolume (by
    round), reward_by_prompt.

    Source: Wang et al. 2024, arXiv:2401.06080 (Secrets of RLHF II): models that differ in the order
    of their pairs, whose mean and deviation are looked at.

    Settings:
        paths: two or more folders of reward models, say of `align train-rm seed=0`, `seed=1`, ...
        combine: mean or min.
        standardise: by mean and deviation over the answers of each model's probe.
        threshold: accepts from here on [score units]; null: it only grades.
        probe: one file of pairs for all; null: those beside each model's weights.
        min_probe_accuracy: share of the probe's pairs that each model must rank right; null: none
            is examined.
    """
    found = member_scores(
        prompts,
        completions,
        device,
        say,
        paths=paths,
        standardise=standardise,
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
    )
    if combine == "min":
        return combined(completions, found, lambda _, each: (float(each.min()), None), threshold)
    return combined(completions, found, by_weights((1 / len(paths),) * len(paths)), threshold)
