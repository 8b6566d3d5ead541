"""Several rewards, weighed for each prompt by itself."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from math import exp, isfinite, sqrt
from typing import Annotated

import torch
from torch import Tensor

from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.members import Weights, combined, member_scores

GRAM = 3
"""Characters."""


def reward_by_prompt(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    device: str,
    say: Callable[[str], None],
    *,
    paths: tuple[str, ...],
    weights_target: str | None,
    anchors: tuple[str, ...] | None,
    temperature: Annotated[float, "> 0"],
    standardise: bool,
    threshold: float | None,
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[Label]:
    """Rewards weighed by the prompt: by a function of yours, or by likeness to anchors.

        r_k    scores of the models k = 1..K, standardised as in verifier=reward_ensemble
        score  = sum over k of w_k(prompt) r_k,   w_k >= 0, sum of w_k = 1

        weights_target   w = function(question, stratum), divided by its sum
        anchors          w = softmax over k of cosine(question, anchors_k) / temperature

    The question is the prompt's last message, the stratum the task's name for its part (`3 steps`,
    or a column of your file), empty where there is none. The cosine is that of counts of three
    characters in a row (shorter texts count as one), in [0, 1]. Weights and scores stand on every
    label (member_weights, member_scores). The weights do not learn.

    Source: own design for what MiCRo (arXiv:2505.24846) and PRO (arXiv:2511.10656) learn, a router
    from prompts to weights; **not theirs**.

    Settings:
        paths: two or more reward models.
        weights_target: dotted path of the function, in one of `plugins`; null: anchors.
        anchors: one text for each model, the question that it is best for; null: weights_target.
        temperature: of the softmax; small takes the likest alone.
        standardise, threshold, probe, min_probe_accuracy: as of verifier=reward_ensemble.
    """
    if (weights_target is None) == (anchors is None):
        raise ConfigError(
            "verifier.weights_target and verifier.anchors: give one of them, a function of the "
            "question or one text for each model"
        )
    if anchors is not None and len(anchors) != len(paths):
        raise ConfigError(
            f"verifier.anchors: got {len(anchors)} for {len(paths)} models; wanted one for each"
        )
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

    @cache
    def weights(question: str, stratum: str) -> Weights:
        if anchors is not None:
            return anchored(question, anchors, temperature)
        assert weights_target is not None
        return asked(weights_target, question, stratum, len(paths))

    def combine(place: int, scores_M: Tensor) -> tuple[float, Weights]:
        prompt = prompts[place]
        found = weights(prompt.messages[-1].content, prompt.stratum)
        return float(torch.tensor(found, dtype=torch.float64) @ scores_M), found

    return combined(completions, found, combine, threshold)


def anchored(question: str, anchors: Sequence[str], temperature: float) -> Weights:
    """Softmax of the question's cosines to the anchors."""
    likeness = [cosine(_grams(question), _grams(each)) / temperature for each in anchors]
    shares = [exp(each - max(likeness)) for each in likeness]
    return tuple(each / sum(shares) for each in shares)


def _grams(text: str) -> Counter[str]:
    return Counter(text[at : at + GRAM] for at in range(max(1, len(text) - GRAM + 1)))


def cosine(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Of two tables of counts, neither of them empty."""
    together = sum(count * other.get(gram, 0) for gram, count in one.items())
    sizes = [sqrt(sum(count**2 for count in each.values())) for each in (one, other)]
    return together / (sizes[0] * sizes[1])


def asked(target: str, question: str, stratum: str, count: int) -> Weights:
    """What the user's function says, checked and divided by its sum."""
    module, _, name = target.rpartition(".")
    said = getattr(import_module(module), name)(question, stratum)
    try:
        weights = [float(each) for each in said]
    except (TypeError, ValueError) as error:
        raise AlignError(_complaint(target, question, said, count)) from error
    good = len(weights) == count and all(isfinite(each) and each >= 0 for each in weights)
    if not good or sum(weights) == 0:
        raise AlignError(_complaint(target, question, said, count))
    return tuple(each / sum(weights) for each in weights)


def _complaint(target: str, question: str, said: object, count: int) -> str:
    return (
        f"verifier.weights_target {target} gave {said!r} for {question[:60]!r}; wanted {count} "
        "numbers, none below 0 and not all 0"
    )
