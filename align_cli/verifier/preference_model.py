"""Answers are scored against their siblings by a trained preference model."""

from collections.abc import Callable, Sequence
from typing import Annotated

from align_cli.model.judge import ready
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.pairwise import compared


def preference_model(
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
    """The mean log-odds that an answer is preferred to its siblings, itself among them.

        score_i = (1/K) sum over k of z(i, k)      z(i, k) = s(i, k) / temperature, see
                                                   `align explain objective=general_preference`

    z(i, k) = -z(k, i), so neither order of two answers is favoured, and the scores of a prompt sum
    to 0. One forward pass per answer, not per pair. An answer's score depends on who its siblings
    are: it grades within a prompt, and held-out answers want another verifier.

    An answer that the model cannot read is unscored and nobody is compared with it.

    Source: Zhang et al. 2024, arXiv:2410.02197 (GPM), with the score of its eq. 5.2-5.3 divided by
    the temperature.

    Settings:
        path: a folder that `align train-rm objective=general_preference` made.
        revision, probe, min_probe_accuracy: as of verifier=reward_model.
    """
    judge = ready(
        path,
        revision,
        head="preference",
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
        device=device,
        group="verifier",
        say=say,
    )
    return compared(judge.model, prompts, siblings, lambda odds_KK: odds_KK.mean(1))
