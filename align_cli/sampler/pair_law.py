"""Pairs of a bandit's arms by a law that is written down, not sampled from a policy."""

from collections.abc import Sequence

import numpy as np

from align_cli.bandit.instance import Array, Integers
from align_cli.bandit.named import asked, asked_of_all
from align_cli.bandit.network import log_probs_of
from align_cli.bandit.rounds import SAMPLERS, LawName
from align_cli.errors import ConfigError
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Draw, Judged, Prompt
from align_cli.sampler.arm import drawn_arm
from align_cli.seeds import derive, uniforms


def pair_law(
    prompts: Sequence[Prompt],
    judged: Sequence[Judged],
    policy: LanguageModel,
    seed: int,
    *,
    law: LawName,
) -> list[Draw]:
    """Two arms to every question of a bandit, drawn by a joint law of both; no engine is asked.

    A law is a mixture of products, given the context: a component by its weight, then y and y' from
    the component's two distributions. Three uniforms of the stream (run, round, question) decide.
    pi is the present policy, exact.

    Settings:
        law: what y and y' are drawn from.
            on_policy        pi, pi
            offline          the bandit's reference, twice
            policy_reference pi, reference (Xie et al. 2024, arXiv:2405.21046)
            policy_uniform   pi, all arms alike
            uniform          all arms alike, twice (DPO-Unif)
            dpo_mix_r        pairs weighted 2 + exp(d) + exp(-d), d = r(y) - r(y') the true rewards
                             (Shi et al. 2024, arXiv:2409.19605; the mixture is a
                             **reconstruction**)
            dpo_mix_p        the same with d of implicit rewards beta log(pi / reference)
            g_optimal        pi, and a G-optimal design of features centred at pi: the hybrid of Kim
                             et al. 2026, arXiv:2601.08421 (**reconstruction**)
            g_by_g           that design, twice
            pair_design      a G-optimal design over pairs themselves, features phi(y) - phi(y')
        A design over several contexts weighs contexts too; questions come from the task, so it is
        used given the context, and its guarantee is that of the design for one context only.
    """
    if judged:
        return []
    bandit = asked_of_all([prompt.gold for prompt in prompts], "sampler=pair_law")
    made = SAMPLERS[law](bandit, log_probs_of(policy.network, "sampler=pair_law"))
    contexts = np.array([asked(prompt.gold, "sampler=pair_law")[1] for prompt in prompts])
    keys = np.array([derive(seed, "pair_law", prompt.id) for prompt in prompts], dtype=np.uint64)
    mixed_N = inverted(made.mass_XM[contexts], uniforms(keys, 0))
    first_N = inverted(made.first_XMK[contexts, mixed_N], uniforms(keys, 1))
    second_N = inverted(made.second_XMK[contexts, mixed_N], uniforms(keys, 2))
    return [
        drawn_arm(prompt, index, arm)
        for prompt, *arms in zip(prompts, first_N.tolist(), second_N.tolist(), strict=True)
        for index, arm in enumerate(arms)
    ]


def inverted(weight_NK: Array, uniform_N: Array) -> Integers:
    """[N]: the first k whose cumulative weight exceeds u times the total; never one of weight 0."""
    sum_NK = weight_NK.cumsum(1)
    found: Integers = (sum_NK > uniform_N[:, None] * sum_NK[:, -1:]).argmax(1)
    if not (sum_NK[:, -1] > 0).all():
        raise ConfigError("sampler=pair_law: a law gives no arm any weight")
    return found
