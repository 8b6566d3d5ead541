"""How sure a judge with dropout is of each pair of a round, and pairs drawn by it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import floor
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from align_cli.errors import ConfigError
from align_cli.filter.asked import Answers, gaps, sides_of
from align_cli.model.judge import ready
from align_cli.model.reward_model import RewardModel
from align_cli.rows import Prompt
from align_cli.training_rows import Pair


def mc_dropout(
    round_pairs: Sequence[Pair],
    answers: Answers,
    prompts: Mapping[str, Prompt],
    seed: int,
    device: str,
    say: Callable[[str], None],
    *,
    path: str,
    passes: Annotated[int, ">= 2", "passes"],
    draw: Literal["certain", "uncertain"],
    rate: Annotated[float, "(0, 1]", "share of pairs"],
    soften: bool,
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[str | Pair | None]:
    """Pairs drawn by how far random dropout masks of a reward model agree on them.

        p_t  = sigmoid(R_t(chosen) - R_t(rejected)) under mask t = 1..T     H(p): entropy [nats]
        BALD = H(mean of p_t) - mean of H(p_t)                              in [0, log 2]

    floor(rate x pairs) pairs of the round are drawn without replacement, each with a chance that is
    proportional to 1 - BALD (certain) or to BALD (uncertain); the others are dropped (not_drawn). A
    pair that the judge cannot read is dropped (unreadable). BALD is recorded on the pair.

    With `soften` a pair is trained on with p_right = mean of p_t, which under DPO is cDPO at
    e = 1 - mean p: a reading of the source's weighting by certainty, **not its code**, which
    trains plain DPO; it wants a loss that asks for log-probs only. The source's estimator reads
    both answers at once, the chosen one first; here it is a reward model trained with dropout
    (`align train-rm train.dropout=0.1`), which favours no place: **reconstruction**. Its mix of
    seed, certain, wide and hard pairs is not offered.

    Source: Wang et al. 2024, arXiv:2409.11212 (UPO), its code.

    Settings:
        path: a reward model whose configuration has dropout.
        passes: T; the source has 30.
        draw: which pairs are likelier to be kept.
        rate: share of the round's pairs; the source has at most 0.5.
        soften: whether the mean of p_t is taken for the chance that the label is right.
        probe, min_probe_accuracy: as of verifier=reward_model; without dropout.
    """
    judge = ready(
        path,
        None,
        head="reward",
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
        device=device,
        group="filter",
        say=say,
    )
    if judge.model.dropout == 0:
        raise ConfigError(
            f"filter.path {path}: this model has no dropout, so every pass is the same; train one "
            "with `align train-rm train.dropout=0.1`"
        )
    sides = sides_of(judge.model, round_pairs, answers, prompts)
    places = [place for place, side in enumerate(sides) if side is not None]
    found: list[str | Pair | None] = ["unreadable"] * len(round_pairs)
    if not places:
        return found
    chance_TB = masked_chances(judge.model, [s for s in sides if s is not None], passes, seed)
    bald_B, mean_B = bald(chance_TB).tolist(), chance_TB.mean(0).tolist()
    drawn = drawn_by(bald_B, draw, rate, seed)
    for number, place in enumerate(places):
        if number not in drawn:
            found[place] = "not_drawn"
            continue
        belief = mean_B[number] if soften else 1.0
        found[place] = replace(round_pairs[place], bald=bald_B[number], p_right=belief)
    return found


@torch.no_grad()
def masked_chances(
    model: RewardModel,
    sides: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    passes: int,
    seed: int,
) -> Tensor:
    """[T, B] chances that chosen is better, one pass a mask, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed >> 1)
        model.network.train()
        try:
            odds_TB = torch.stack([gaps(model, sides) for _ in range(passes)])
        finally:
            model.network.eval()
    return torch.sigmoid(odds_TB.double())


def bald(chance_TB: Tensor) -> Tensor:
    """[B] mutual information of label and mask [nats]; rounding below 0 is 0."""
    return (_entropy(chance_TB.mean(0)) - _entropy(chance_TB).mean(0)).clamp_min(0)


def _entropy(chance: Tensor) -> Tensor:
    return -(torch.xlogy(chance, chance) + torch.xlogy(1 - chance, 1 - chance))


def drawn_by(bald_B: Sequence[float], draw: str, rate: float, seed: int) -> set[int]:
    """Places of the pairs that are drawn; where all weigh nothing, every pair weighs the same."""
    count = floor(rate * len(bald_B))
    weight_B = np.array(bald_B) if draw == "uncertain" else 1 - np.array(bald_B)
    # Of fewer than `count` pairs with any weight, the rest is drawn evenly.
    weight_B = np.maximum(weight_B, 1e-12)
    stream = np.random.default_rng(seed)
    return set(
        stream.choice(len(bald_B), count, replace=False, p=weight_B / weight_B.sum()).tolist()
    )
