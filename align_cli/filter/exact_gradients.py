"""Pairs of a bandit weighed by how likely they are: expectations in place of draws."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from scipy.special import expit

from align_cli.bandit.instance import Bandit
from align_cli.bandit.named import asked, asked_of_all
from align_cli.bandit.network import log_probs_of
from align_cli.bandit.rounds import SAMPLERS, LawName
from align_cli.errors import ConfigError
from align_cli.filter.asked import Answers
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Prompt
from align_cli.training_rows import Pair

WHO = "filter=exact_gradients"
"""For messages."""
ROUNDING = 1e-9
"""Of a difference of rewards [reward units]."""


def exact_gradients(
    round_pairs: Sequence[Pair],
    answers: Answers,
    prompts: Mapping[str, Prompt],
    policy: LanguageModel,
    *,
    law: LawName,
    labels: Literal["soften", "keep"],
    temperature: Annotated[float, "> 0", "reward units"],
) -> list[str | Pair | None]:
    """Every pair of arms of a bandit, weighed by the exact chance that a law draws it.

        weight(x, {y, y'}) ~ D(x) [q(y, y' | x) + q(y', y | x)],  y != y'
        p_right            = sigmoid((r(y) - r(y')) / temperature),  y the arm of more reward

    Training takes weight (p loss(y, y') + (1 - p) loss(y', y)), so the mean loss of the round, its
    gradient and its minimum are those of infinitely many pairs drawn by the law and labelled by
    noise=plackett_luce. Weights are 1 on average. A pair of an arm with itself weighs nothing, as
    in draws, and a pair that the law never draws is dropped (never_drawn). The formulas are those
    of align_cli/lab/exact.py; own design.

    Wants all pairs of all contexts: task.prompts_per_round=null, sampler=every_arm,
    pairing=all_pairs, noise=none, which experiment=bandit_exact sets.

    Settings:
        law: q, as of sampler=pair_law; pi is the policy that draws: schedule.draw_from.
        labels: soften believes each label by its Bradley-Terry chance, for losses that ask for
            log-probs only; keep takes the arm of more reward as chosen, as noise=none does.
        temperature: reward difference at which the odds are e to 1; idle with labels=keep.
    """
    if not round_pairs:
        return []
    bandit = asked_of_all([prompt.gold for prompt in prompts.values()], WHO)
    context = {key: asked(prompt.gold, WHO)[1] for key, prompt in prompts.items()}
    cells = [
        (
            context[pair.prompt_id],
            answers[pair.prompt_id, pair.chosen].token_ids[0],
            answers[pair.prompt_id, pair.rejected].token_ids[0],
        )
        for pair in round_pairs
    ]
    context_B, chosen_B, rejected_B = np.array(cells).T
    gap_B = bandit.reward_XK[context_B, chosen_B] - bandit.reward_XK[context_B, rejected_B]
    _check_all(bandit, list(context.values()), cells)
    _check_labels(round_pairs, gap_B)
    made = SAMPLERS[law](bandit, log_probs_of(policy.network, WHO))
    joint_XKK = made.context_X[:, None, None] * made.joint
    chance_B = (joint_XKK + joint_XKK.transpose(0, 2, 1))[context_B, chosen_B, rejected_B]
    weight_B = chance_B * (chance_B > 0).sum() / chance_B.sum()
    right_B = expit(gap_B / temperature) if labels == "soften" else np.ones_like(gap_B)
    return [
        replace(pair, weight=weight, p_right=right) if weight > 0 else "never_drawn"
        for pair, weight, right in zip(
            round_pairs, weight_B.tolist(), right_B.tolist(), strict=True
        )
    ]


def _check_all(
    bandit: Bandit, contexts: Sequence[int], cells: Sequence[tuple[int, int, int]]
) -> None:
    """Nothing that could be drawn may be missing, or be there twice."""
    count, arms = bandit.reward_XK.shape
    once = Counter((x, *sorted(arms)) for x, *arms in cells)
    wanted = count * arms * (arms - 1) // 2
    if sorted(contexts) != list(range(count)) or len(once) != wanted or len(cells) != wanted:
        raise ConfigError(
            f"{WHO} is exact on all pairs of arms only: {count} contexts of {arms} arms make "
            f"{wanted}, and the round has {len(cells)} pairs, {len(once)} of them different, of "
            f"{len(contexts)} prompts. Set task.prompts_per_round=null, sampler=every_arm, "
            "pairing=all_pairs (experiment=bandit_exact)"
        )


def _check_labels(pairs: Sequence[Pair], gap_B: np.ndarray) -> None:
    """Margins are of rewards as they are; noise on top of exact chances would count twice."""
    margin_B = np.array([pair.margin for pair in pairs])
    place = int(np.abs(margin_B - gap_B).argmax())
    if abs(margin_B[place] - gap_B[place]) > ROUNDING:
        raise ConfigError(
            f"{WHO}: a pair of prompt {pairs[place].prompt_id} has margin {margin_B[place]:.6g}, "
            f"and its rewards differ by {gap_B[place]:.6g}; set verifier=true_reward noise=none: "
            "filter.labels and filter.temperature say how labels err"
        )
