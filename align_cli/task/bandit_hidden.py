"""A bandit out of a language model: its hidden states are the features."""

from typing import Annotated, Literal

from align_cli.arithmetic import Split
from align_cli.model.hidden_bandit import content_of
from align_cli.rows import Prompt
from align_cli.task.bandit import questions


def bandit_hidden(
    split: Split,
    round_number: int,
    seed: int,
    *,
    prompts_per_round: Annotated[int | None, ">= 1", "prompts"],
    path: str,
    contexts: Annotated[int, ">= 1"],
    steps: Annotated[int, "[1, 5]", "steps"],
    features: Annotated[int | None, ">= 1"],
    features_of: Literal["mean_hidden", "last_hidden"],
    reward: Literal["teacher", "right"],
    instance: Annotated[int, ">= 0"],
    beta: Annotated[float, "> 0", "reward units/nat"],
) -> list[Prompt]:
    """Real features: contexts are chained sums, arms their worked solutions as a policy sees them.

    An arm is a solution in which every step is right or off by one, 3^steps of them; arm 0 is the
    right one. phi(x, y) is the policy's last hidden state after the solution, centred over the
    arms of x, on the `features` directions of most spread, each scaled to deviation 1. The
    reference plays an arm by the policy's own probability of the solution, renormalised over the
    arms, so that coverage is what a language model gives: some arms are very rare. Own design.

    Hidden states that differ in fewer directions than features are refused, with their rank.

    Settings:
        prompts_per_round: questions, whose contexts are drawn; null: every context once.
        path: the policy: a folder, or package:tiny. Its weights are part of the instance.
        contexts: sums; the policy's pool of held-out problems is drawn from by `instance`.
        steps: of each sum.
        features: D, at most X (K - 1); null: hidden states as they are.
        features_of: last_hidden of the last token | mean_hidden over the solution.
        reward: teacher: beta <theta*, phi>, theta* normal, |theta*| about 1 | right: 1 of the right
            solution, 0 of others, which is not linear (policy.reward=any).
        instance: seed of sums and teacher; the run's seed does not change them.
        beta: of the best policy, reference exp(reward / beta).
    """
    settings = {
        "policy": path,
        "content": content_of(path),
        "contexts": contexts,
        "steps": steps,
        "features": features,
        "which": features_of,
        "reward": reward,
        "instance": instance,
        "beta": beta,
    }
    return questions("hidden", settings, split, round_number, seed, prompts_per_round)
