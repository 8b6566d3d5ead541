"""How fast exact DPO steps converge, by sampler: uniform linearly, the mixed quadratically.

Source: Shi et al. 2024, arXiv:2409.19605. These are rates of exact gradients of a tabular policy;
what samples cost is another matter, see `coverage`. **Reconstruction** of the step.
"""

import numpy as np

from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.law import PairLaw, dpo_mix_p, dpo_mix_r, uniform
from align_cli.bandit.policy import normalised
from align_cli.lab.descent import descend_tabular
from align_cli.lab.exact import ExactLoss


def sampler_rates(
    loss: ExactLoss, *, beta: float, arms: int = 20, steps: int = 4, seed: int = 0
) -> dict[str, tuple[float, ...]]:
    """{sampler: largest error of a reward difference, at the start and after each step}.

    Rewards are uniform in [0, 1], the reference is uniform; a step is 1 / arms in reward units.

    Settings:
        beta: of the bandit and of the loss; it cancels.
        arms, steps, seed: of the instance and the run.
    """
    reward_1K = np.random.default_rng(seed).random((1, arms))
    bandit = Bandit(np.ones(1), normalised(np.zeros((1, arms))), reward_1K, beta)
    laws = {
        "uniform": lambda log_policy_XK: uniform(bandit),
        "dpo_mix_r": lambda log_policy_XK: dpo_mix_r(bandit),
        "dpo_mix_p": lambda log_policy_XK: dpo_mix_p(bandit, log_policy_XK),
    }
    return {
        name: tuple(
            sup_error(bandit, lift_XK)
            for lift_XK in descend_tabular(
                bandit, law_at, loss, step_at=lambda law: unit_step(law, beta), steps=steps
            )
        )
        for name, law_at in laws.items()
    }


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
