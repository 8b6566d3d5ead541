"""The examination of bandits: every number is an expectation, none an estimate."""

from collections.abc import Mapping, Sequence

import numpy as np

from align_cli.bandit.examination import (
    class_kl,
    coverage,
    expected_rewards,
    regret,
    regularised_rewards,
    reward_error,
)
from align_cli.bandit.named import asked, asked_of_all
from align_cli.bandit.network import log_probs_of
from align_cli.bandit.policy import kl, kl_to_optimum
from align_cli.evaluation.examined import Examined
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Prompt, Score

WHO = "evaluation=exact"
"""For messages."""


def exact(
    prompts: Sequence[Prompt],
    policy: LanguageModel,
    before: LanguageModel | None,
    against: Mapping[str, LanguageModel],
) -> Examined:
    """A bandit's policy against the best one, computed from all probabilities; nothing is drawn.

        eval/kl_optimum_nats     KL(pi* || policy), the mean over contexts by their law      [nats]
        eval/kl_NAME_nats        KL(policy || NAME), NAME the round's reference or the initial one
        eval/sampled_score       E_policy r, what the mean of many draws would be    [reward units]
        eval/greedy_score        r of the likeliest arm                              [reward units]
        eval/regularised_score   J = E_policy r - beta KL(policy || bandit's reference)
        eval/regret              J(pi*) - J(policy) = beta KL(policy || pi*)
        eval/reward_error        largest error of a difference of implicit rewards   [reward units]
        eval/contraction_factor  that error over its value in the policy that entered the round
        eval/density_supremum    largest pi*(y) / policy(y)
        eval/coverage_trace      tr(V* V^-1), V the covariance of features under the policy
        eval/max_leverage        largest phi~^T V^-1 phi~ of an arm, phi~ centred at the policy
        eval/kl_class_nats       KL(pi* || nearest linear softmax), where the reward is not linear

    beta is the bandit's. Scores are also given by held-out prompt, for comparisons, which weigh
    contexts alike. The two forms by features are left out for bandits without, and where a
    covariance is singular in float64. Held-out prompts are the contexts.
    """
    bandit = asked_of_all([prompt.gold for prompt in prompts], WHO)
    log_policy_XK = log_probs_of(policy.network, WHO)
    error = reward_error(bandit, log_policy_XK)
    best_X = log_policy_XK.argmax(1)
    by_context = {
        "sampled_score": expected_rewards(bandit, log_policy_XK),
        "greedy_score": bandit.reward_XK[np.arange(len(best_X)), best_X],
        "regularised_score": regularised_rewards(bandit, log_policy_XK),
    }
    metrics = {
        "kl_optimum_nats": kl_to_optimum(bandit, log_policy_XK),
        **{name: float(bandit.context_X @ value_X) for name, value_X in by_context.items()},
        "regret": regret(bandit, log_policy_XK),
        "reward_error": error,
        **coverage(bandit, log_policy_XK),
    }
    for name, other in against.items():
        metrics[f"kl_{name}_nats"] = kl(bandit, log_policy_XK, log_probs_of(other.network, WHO))
    if (
        before is not None
        and (entered := reward_error(bandit, log_probs_of(before.network, WHO))) > 0
    ):
        metrics["contraction_factor"] = error / entered
    if (nearest := class_kl(bandit)) is not None:
        metrics["kl_class_nats"] = nearest
    contexts = [asked(prompt.gold, WHO)[1] for prompt in prompts]
    scores = [
        Score(
            prompt_id=prompt.id,
            stratum=prompt.stratum,
            greedy_right=None,
            samples=0,
            right=None,
            unscored=0,
            majority_right=None,
            length_tokens=1.0,
            truncated=0,
            **{name: float(value_X[context]) for name, value_X in by_context.items()},
        )
        for prompt, context in zip(prompts, contexts, strict=True)
    ]
    return Examined(scores, metrics)
