"""Answers are scored by a trained reward model."""

from collections.abc import Callable, Sequence
from typing import Annotated

from align_cli.model.judge import ready
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.reading import read_answers
from align_cli.verifier.verdicts import scored, unscored


def reward_model(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    device: str,
    say: Callable[[str], None],
    *,
    path: str,
    revision: str | None,
    threshold: float | None,
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[Label]:
    """The one logit of a transformers sequence classifier, read at the end of the answer.

        score = logit(conversation, answer)           right = score >= threshold, if there is one

    Its unit is its own: differences of a Bradley-Terry model's scores are log-odds of preference.
    Without a threshold it only grades; then held-out answers want another verifier
    (evaluation.verifier=exact), or are told by their mean score. An answer that the model cannot
    read (too long, unknown characters, a score that is not finite) is unscored (`error`).

    Before anything is drawn the model is examined on pairs it should know the answer to: it must
    rank `min_probe_accuracy` of them right with finite scores that differ, or the run stops. A
    model without a trained head, or with more than one label, is refused.

    Settings:
        path: a transformers folder (`align train-rm` makes one), or a name on the hub.
        revision: branch, tag or commit of a hub model; null: its main branch, or a folder.
        threshold: accepts from here on [score units]; null: it only grades.
        probe: a file of pairs (prompt, chosen, rejected); null: those beside the weights.
        min_probe_accuracy: share of the probe's pairs; null: it is not examined.
    """
    judge = ready(
        path,
        revision,
        head="reward",
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
        device=device,
        group="verifier",
        say=say,
    )
    return [
        unscored(row, "error", found)
        if isinstance(found, str)
        else scored(row, float(found[0]), threshold)
        for row, found in zip(
            completions, read_answers(judge.model, prompts, completions), strict=True
        )
    ]
