"""Every arm of every context of a bandit, once: what expectations are summed over."""

from collections.abc import Sequence
from typing import Annotated

from align_cli.bandit.named import asked, asked_of_all
from align_cli.errors import ConfigError
from align_cli.rows import Draw, Judged, Prompt
from align_cli.sampler.arm import drawn_arm

WHO = "sampler=every_arm"
"""For messages."""


def every_arm(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    *,
    most_pairs: Annotated[int, ">= 1", "pairs"],
) -> list[Draw]:
    """Each arm of each context of a bandit as an answer, in order; nothing is drawn by chance.

    With pairing=all_pairs and filter=exact_gradients a round trains on expectations instead of
    draws (experiment=bandit_exact). With pairing=siblings a group is a whole context. Prompts must
    be the contexts, once each: task.prompts_per_round=null. Language models have no such list of
    answers, and their tasks are refused.

    Settings:
        most_pairs: that all arms of all contexts may make, X K (K - 1) / 2; more are refused.
    """
    if judged or not prompts:
        return []
    bandit = asked_of_all([prompt.gold for prompt in prompts], WHO)
    contexts, arms = bandit.reward_XK.shape
    if sorted(asked(prompt.gold, WHO)[1] for prompt in prompts) != list(range(contexts)):
        raise ConfigError(
            f"{WHO} wants every context once, and the round's prompts are {len(prompts)} questions "
            f"of {contexts} contexts; set task.prompts_per_round=null"
        )
    if (pairs := contexts * arms * (arms - 1) // 2) > most_pairs:
        raise ConfigError(
            f"{WHO}: {contexts} contexts of {arms} arms make {pairs} pairs, and "
            f"sampler.most_pairs allows {most_pairs}; take fewer arms, allow more, or draw pairs "
            "(sampler=best_of_n or pair_law)"
        )
    return [drawn_arm(prompt, arm, arm) for prompt in prompts for arm in range(arms)]
