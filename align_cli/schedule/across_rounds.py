"""What one round hands to another: where training starts, and how far past its end the run goes."""

from collections.abc import Sequence

from align_cli.schedule.plan import Plan


def trained_from(plan: Plan, number: int) -> int:
    """Index of the policy that round `number` trains; policy k is the one that enters round k.

    current: number.  initial: 0.  extragradient: 2 floor(number / 2), so that an odd round goes
    back to where the even one before it began.
    """
    if plan.train_from == "initial":
        return 0
    if plan.train_from == "extragradient":
        return number // 2 * 2
    return number


def momentum_age(plan: Plan, scores: Sequence[float]) -> int:
    """Rounds since the momentum was last set to nothing; 0 is a round without extrapolation.

    `scores[k]` is the mean score of the answers that the policy entering round k has drawn. Where
    it is below the round before, the last extrapolation has led to a worse policy: restart.
    """
    age = 0
    for number in range(1, len(scores)):
        fell = plan.restart == "score_fell" and scores[number] < scores[number - 1]
        age = 0 if fell else age + 1
    return age


def extrapolation_weight(plan: Plan, age: int) -> float:
    """The a of theta = th_hat + a (th_hat - th_hat_before): 0 at age 0.

    constant: extrapolation.  nesterov: extrapolation age / (age + 3).
    """
    if age == 0:
        return 0.0
    return plan.extrapolation * (age / (age + 3) if plan.momentum == "nesterov" else 1.0)
