"""How fast exact DPO steps converge, by sampler: uniform linearly, the mixed quadratically.

Source: Shi et al. 2024, arXiv:2409.19605. These are rates of exact gradients of a tabular policy;
what samples cost is another matter, see `coverage`. **Reconstruction** of the step.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw, dpo_mix_p, dpo_mix_r, uniform
from align_cli.bandit.policy import normalised
from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.lab.descent import descend_tabular
from align_cli.lab.exact import ExactLoss
from align_cli.lab.experiment import Measurement
from align_cli.loss.pairwise import pairwise

LAWS: Final[Mapping[str, Callable[[Bandit, Array], PairLaw]]] = {
    "uniform": lambda bandit, log_policy_XK: uniform(bandit),
    "dpo_mix_r": lambda bandit, log_policy_XK: dpo_mix_r(bandit),
    "dpo_mix_p": dpo_mix_p,
}


def trainers_dpo(beta: float) -> ExactLoss:
    """The loss of loss=dpo, which the trainer calls."""

    def loss(pairs: PairLogps, ref_pairs: PairLogps, pair_labels: PairLabels) -> PairLoss:
        return pairwise(pairs, ref_pairs, beta=beta, labels="smoothed", label_smoothing=0.0)

    return loss


def sup_errors(
    sampler: str, *, beta: float, arms: int, steps: int, instance_seed: int
) -> list[Measurement]:
    """`error` at the start and after each exact step: the largest of any reward difference.

    Rewards are uniform in [0, 1], the reference is uniform; a step is 1 / arms in reward units.
    beta is of the bandit and of the loss; it cancels.
    """
    reward_1K = np.random.default_rng(instance_seed).random((1, arms))
    bandit = Bandit(np.ones(1), normalised(np.zeros((1, arms))), reward_1K, beta)
    lifts = descend_tabular(
        bandit,
        lambda log_policy_XK: LAWS[sampler](bandit, log_policy_XK),
        trainers_dpo(beta),
        step_at=lambda law: unit_step(law, beta),
        steps=steps,
    )
    return [
        Measurement(quantity="error", at=step, seed=None, value=sup_error(bandit, lift_XK))
        for step, lift_XK in enumerate(lifts)
    ]


def unit_step(law: PairLaw, beta: float) -> float:
    """The learning rate at which a pair at reward gap 0 closes one arm's share of its error.

    Weights are 2 + exp(d) + exp(-d) (at d = 0, and for uniform pairs, 4); the law's are divided by
    their sum, which the step makes up for. A pair stands on both of its sides, hence the 2.
    """
    arms = law.first_XMK.shape[2]
    total = 4.0 * arms**2 if law.mass_XM.shape[1] == 1 else 2.0 * arms**2 / law.mass_XM[0, 0]
    return float(total / (2 * arms * beta**2))


def sup_error(bandit: Bandit, lift_XK: Array) -> float:
    """Largest |(implicit - true) difference of rewards| of any two arms of a context."""
    error_XK = bandit.beta * lift_XK - bandit.reward_XK
    return float((error_XK.max(1) - error_XK.min(1)).max())
