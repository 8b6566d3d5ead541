"""Bandits as tasks: a prompt is a context, an answer is an arm, and all rewards are known.

Each function here is one instance (align_cli/bandit/instances.py). A prompt reads `x0 #17`: the
context, and which question of the round it is; policies of bandits read the context only. Training
prompts draw their context from the instance's own law, seeded by run and round; held-out prompts
are the contexts, once each. The instance and its settings are the gold of every prompt.
"""

from typing import Annotated, Any

import numpy as np

from align_cli.arithmetic import Split
from align_cli.bandit.named import gold_of, named
from align_cli.rows import Message, Prompt, prompt_id
from align_cli.seeds import derive, uniforms


def rare(
    split: Split,
    round_number: int,
    seed: int,
    *,
    prompts_per_round: Annotated[int | None, ">= 1", "prompts"],
    rare_mass: Annotated[float, "(0, 1)"],
    best_mass: Annotated[float, "(0, 1)"],
    axes: Annotated[int, ">= 1"],
    beta: Annotated[float, "> 0", "reward units/nat"],
    fillers: Annotated[int, ">= 0", "arms"],
) -> list[Prompt]:
    """RARE: the reference hardly plays the arms that the best policy plays most of the time.

    One context. Arm 0 has phi = 0 and mass 1 - rare_mass; 2 axes arms with phi = e_0 +- e_j share
    rare_mass, so D = axes + 1. Rewards are beta <theta*, phi>: theta*_j = 0.5 N(0, 1), the same for
    every seed, and theta*_0 such that the best policy plays the cluster with best_mass. The
    coverage tr(V* V_reference^-1) is about 3 / rare_mass.

    **Reconstruction**: an instance of our own that shows what Kim et al. 2026 (arXiv:2601.08421)
    claim; theirs is not known.

    Settings:
        prompts_per_round: questions, all of the one context; null: it is asked once.
        rare_mass: of the cluster under the reference: how badly the optimum is covered.
        best_mass: of the cluster under the best policy.
        axes: features besides the first.
        beta: of the best policy, reference exp(reward / beta); a loss with another beta aims at
            another policy.
        fillers: useless copies of arm 0, among which its mass is split.
    """
    settings = {
        "rare_mass": rare_mass,
        "best_mass": best_mass,
        "axes": axes,
        "beta": beta,
        "fillers": fillers,
    }
    return questions("rare", settings, split, round_number, seed, prompts_per_round)


def poisson_chain(
    split: Split,
    round_number: int,
    seed: int,
    *,
    prompts_per_round: Annotated[int | None, ">= 1", "prompts"],
    rate: Annotated[float, "> 0"],
    parameter: Annotated[float, "[-inf, inf]"],
    last: Annotated[int, ">= 1"],
    beta: Annotated[float, "> 0", "reward units/nat"],
) -> list[Prompt]:
    """A chain along which coverage improves smoothly: reference ~ rate^k / k!, phi = k, k <= last.

    One context, D = 1; the best policy's rate is rate exp(parameter). **Reconstruction**, as
    task=bandit.

    Settings:
        prompts_per_round: questions; null: the one context once.
        rate: of the reference.
        parameter: theta*.
        last: the last arm.
        beta: of the best policy, reference exp(reward / beta).
    """
    settings = {"rate": rate, "parameter": parameter, "last": last, "beta": beta}
    return questions("poisson_chain", settings, split, round_number, seed, prompts_per_round)


def random_linear(
    split: Split,
    round_number: int,
    seed: int,
    *,
    prompts_per_round: Annotated[int | None, ">= 1", "prompts"],
    contexts: Annotated[int, ">= 1"],
    arms: Annotated[int, ">= 2"],
    features: Annotated[int, ">= 1"],
    misfit: Annotated[float, ">= 0", "reward units"],
    instance: Annotated[int, ">= 0"],
    beta: Annotated[float, "> 0", "reward units/nat"],
) -> list[Prompt]:
    """Normal features and parameter, Dirichlet reference and contexts: a problem without a story.

    Settings:
        prompts_per_round: questions, whose contexts are drawn; null: every context once.
        contexts, arms, features: X, K, D; D <= X (K - 1), or the features lack rank.
        misfit: deviation of normal errors added to the rewards, which then are not linear in the
            features; 0 is realisable.
        instance: seed of the instance; the run's seed does not change it.
        beta: of the best policy, reference exp(reward / beta).
    """
    settings = {
        "seed": instance,
        "contexts": contexts,
        "arms": arms,
        "features": features,
        "misfit": misfit,
        "beta": beta,
    }
    return questions("random_linear", settings, split, round_number, seed, prompts_per_round)


def zipf(
    split: Split,
    round_number: int,
    seed: int,
    *,
    prompts_per_round: Annotated[int | None, ">= 1", "prompts"],
    arms: Annotated[int, ">= 2"],
    instance: Annotated[int, ">= 0"],
    beta: Annotated[float, "> 0", "reward units/nat"],
) -> list[Prompt]:
    """Without features: one context, reference ~ 1 / rank, rewards N(0, 1). For policy=tabular.

    Settings:
        prompts_per_round: questions; null: the one context once.
        arms: how many.
        instance: seed of the rewards; the run's seed does not change them.
        beta: of the best policy, reference exp(reward / beta).
    """
    settings = {"seed": instance, "arms": arms, "beta": beta}
    return questions("zipf", settings, split, round_number, seed, prompts_per_round)


def questions(
    name: str,
    settings: dict[str, Any],
    split: Split,
    round_number: int,
    seed: int,
    count: int | None,
) -> list[Prompt]:
    """One prompt per question, or per context if the count is None.

    The instance is made here, so its mistakes are said first.
    """
    share_X = named(name, settings).context_X
    golds = [gold_of(name, settings, context) for context in range(len(share_X))]
    if split == "heldout":
        asked = [(f"x{context}", context) for context in range(len(share_X))]
    elif count is None:
        asked = [(f"x{context} #{context}", context) for context in range(len(share_X))]
    else:
        keys = np.array(
            [derive(seed, "bandit", round_number, number) for number in range(count)],
            dtype=np.uint64,
        )
        drawn = np.searchsorted(np.cumsum(share_X)[:-1], uniforms(keys, 0), side="right").tolist()
        asked = [(f"x{context} #{number}", context) for number, context in enumerate(drawn)]
    prompts = []
    for number, (text, context) in enumerate(asked):
        messages = (Message("user", text),)
        prompts.append(
            Prompt(
                id=prompt_id(messages),
                messages=messages,
                gold=golds[context],
                source=f"bandit {name}:{split}:{number}",
            )
        )
    return prompts
