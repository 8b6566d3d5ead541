"""How far an ensemble of reward models believes each label of a round, and what follows from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch

from align_cli.errors import ConfigError
from align_cli.filter.asked import Answers, gaps, sides_of
from align_cli.model.judge import ready_all
from align_cli.model.reward_model import RewardModel
from align_cli.rows import Prompt
from align_cli.training_rows import Pair

Action = Literal["keep", "flip", "soften", "drop"]


def vote_strength(
    round_pairs: Sequence[Pair],
    answers: Answers,
    prompts: Mapping[str, Prompt],
    device: str,
    say: Callable[[str], None],
    *,
    paths: tuple[str, ...],
    wrong_share: Annotated[float, "[0, 1]", "share of pairs"],
    wrong: Action,
    ambiguous_share: Annotated[float, "[0, 1]", "share of pairs"],
    ambiguous: Action,
    strong_share: Annotated[float, "[0, 1]", "share of pairs"],
    strong: Action,
    label_smoothing: Annotated[float, "(0, 0.5)", "share of pairs"],
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[str | Pair | None]:
    """The pairs of a round by vote strength: the least believed, the ambiguous, the strongest.

        d_m  = R_m(chosen) - R_m(rejected) of model m = 1..M
        mean = sum of d_m / M          std = sqrt(sum of (d_m - mean)^2 / M)

    Pairs are ordered by mean over the round: the lowest `wrong_share` are likely wrong, the next
    `ambiguous_share` ambiguous, the highest `strong_share` strong; the rest are kept. mean and std
    are recorded on every pair (strength_mean, strength_std). A pair that a model cannot read is
    dropped (unreadable).

        keep    as it is              flip    chosen and rejected change places
        drop    reason likely_wrong, ambiguous or strong
        soften  p_right = 1 - label_smoothing: training takes p loss(w, l) + (1 - p) loss(l, w)

    Only a label that the ensemble votes against (mean < 0) is flipped; others of that part are
    kept. flip and soften want a loss that asks for log-probs only.

    Source: Wang et al. 2024, arXiv:2401.06080 (Secrets of RLHF II): ten models trained on one set
    in other orders; on HH-RLHF the lowest fifth is likely wrong, the next fifth ambiguous, the
    highest tenth overfits and takes soft labels. Dropping, and the bound on flips, are **not the
    source's**.

    Settings:
        paths: two or more reward models, say of `align train-rm seed=0`, `seed=1`, ...
        wrong_share, ambiguous_share, strong_share: together at most 1.
        wrong, ambiguous, strong: keep, flip, soften or drop.
        label_smoothing: e of softened labels.
        probe, min_probe_accuracy: as of verifier=reward_model, for each model.
    """
    if wrong_share + ambiguous_share + strong_share > 1:
        raise ConfigError(
            f"filter.wrong_share {wrong_share}, ambiguous_share {ambiguous_share} and strong_share "
            f"{strong_share} are more than 1 together: a pair would be of two parts"
        )
    judges = ready_all(
        paths,
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
        device=device,
        group="filter",
        say=say,
    )
    places, mean_B, std_B = _votes([j.model for j in judges], round_pairs, answers, prompts)
    order = sorted(range(len(places)), key=lambda each: mean_B[each])
    count = len(order)
    low = round(wrong_share * count)
    middle, high = low + round(ambiguous_share * count), count - round(strong_share * count)
    parts: list[tuple[str, Action]] = [("likely_wrong", wrong)] * low
    parts += [("ambiguous", ambiguous)] * (middle - low)
    parts += [("believed", "keep")] * (high - middle)
    parts += [("strong", strong)] * (count - len(parts))
    found: list[str | Pair | None] = ["unreadable"] * len(round_pairs)
    for each, (name, action) in zip(order, parts, strict=True):
        pair = replace(
            round_pairs[places[each]], strength_mean=mean_B[each], strength_std=std_B[each]
        )
        believed = action == "flip" and mean_B[each] >= 0
        acted = _acted(pair, "keep" if believed else action, label_smoothing, answers)
        found[places[each]] = name if action == "drop" else acted
    return found


def _votes(
    models: Sequence[RewardModel],
    pairs: Sequence[Pair],
    answers: Answers,
    prompts: Mapping[str, Prompt],
) -> tuple[list[int], list[float], list[float]]:
    """Places of the pairs that every model can read; mean and deviation of the votes on each."""
    sides = [sides_of(model, pairs, answers, prompts) for model in models]
    places = [place for place in range(len(pairs)) if all(each[place] for each in sides)]
    if not places:
        return [], [], []
    votes = [
        gaps(model, [side for place in places if (side := each[place]) is not None])
        for model, each in zip(models, sides, strict=True)
    ]
    d_MB = torch.stack(votes).double()
    return places, d_MB.mean(0).tolist(), d_MB.std(0, correction=0).tolist()


def _acted(pair: Pair, action: Action, label_smoothing: float, answers: Answers) -> Pair:
    if action == "soften":
        return replace(pair, p_right=1 - label_smoothing)
    if action == "flip" and not pair.tied:
        return replace(
            pair,
            chosen=pair.rejected,
            rejected=pair.chosen,
            margin=-pair.margin,
            kind=answers[pair.prompt_id, pair.rejected].kind,
            flipped=True,
        )
    return pair
