"""One reward is raised while others are held at thresholds, by multipliers that move by round."""

from collections.abc import Callable, Sequence
from math import exp, tanh
from typing import Annotated, Literal

from torch import Tensor

from align_cli.errors import ConfigError
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.members import Weights, by_weights, combined, means_by_round, member_scores

Bound = Literal["sigmoid", "tanh"]


def reward_constrained(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    earlier: Sequence[Sequence[Label]],
    device: str,
    say: Callable[[str], None],
    *,
    paths: tuple[str, ...],
    thresholds: Annotated[tuple[float, ...], "(-inf, inf)", "score units"],
    learning_rate: Annotated[float, "> 0", "1/score units"],
    initial_multiplier: Annotated[float, "(-inf, inf)"],
    bound: Bound,
    standardise: bool,
    threshold: float | None,
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[Label]:
    """The first reward, subject to the others' thresholds: Lagrange multipliers by dual ascent.

        r_0, r_1..r_N   scores of the models, standardised as in verifier=reward_ensemble
        s_i             = bound(mu_i), bound = sigmoid (in (0, 1)) or tanh (in (-1, 1))
        score           = (N - s_1 - ... - s_N) r_0 + s_1 r_1 + ... + s_N r_N
        V_i             = mean of r_i over the judged answers of a round
        mu_i           <- mu_i - learning_rate d s_i / d mu_i (V_i - thresholds_i)  after each round

    A reward below its threshold gains weight round by round, one above loses it. With tanh the
    weight may be negative, so that a reward above its threshold is pushed down to it. The weights
    (N - sum of s_i, s_1..s_N) and scores stand on every label (member_weights, member_scores); a
    round's numbers are label/member_M_mean and label/member_M_weight. Nothing is kept beside the
    rows: the multipliers are computed anew from the labels of the rounds before.

    The judge changes with the rounds, so it cannot examine: name evaluation.verifier.

    Source: Moskovitz et al. 2023, arXiv:2310.04373 (Constrained RLHF), its code for one constraint
    with sigmoid; **reconstruction**: the layout for several, tanh, rounds in place of PPO steps,
    and a reward model as the main objective where the source has the KL penalty.

    Settings:
        paths: two or more reward models; the first is maximised, the others are constrained.
        thresholds: one for each of the others, in their order.
        learning_rate: of the multipliers.
        initial_multiplier: every mu_i in the first round; 0 is s = 1/2 (sigmoid) or 0 (tanh).
        bound: sigmoid reaches thresholds from below; tanh holds them from both sides.
        standardise, threshold, probe, min_probe_accuracy: as of verifier=reward_ensemble.
    """
    if len(thresholds) != len(paths) - 1:
        raise ConfigError(
            f"verifier.thresholds: got {len(thresholds)} for {len(paths)} models; wanted one for "
            "each model but the first, which is maximised"
        )
    found = member_scores(
        prompts,
        completions,
        device,
        say,
        paths=paths,
        standardise=standardise,
        probe=probe,
        min_probe_accuracy=min_probe_accuracy,
    )
    means = means_by_round(earlier, len(paths))
    weights = constrained_weights(means, thresholds, learning_rate, initial_multiplier, bound)
    return combined(completions, found, by_weights(weights), threshold)


def constrained_weights(
    means: Sequence[Tensor],
    thresholds: Sequence[float],
    learning_rate: float,
    initial_multiplier: float,
    bound: Bound,
) -> Weights:
    """(N - sum of s_i, s_1..s_N) after these rounds' [M] means, the first model's among them."""
    multipliers = [initial_multiplier] * len(thresholds)
    for means_M in means:
        for i, (mean, least) in enumerate(zip(means_M.tolist()[1:], thresholds, strict=True)):
            slope = _bounded(multipliers[i], bound)[1]
            multipliers[i] -= learning_rate * slope * (mean - least)
    bounded = [_bounded(each, bound)[0] for each in multipliers]
    return (len(bounded) - sum(bounded), *bounded)


def _bounded(multiplier: float, bound: Bound) -> tuple[float, float]:
    """The bounded multiplier, and its derivative."""
    if bound == "tanh":
        value = tanh(multiplier)
        return value, 1 - value**2
    # Of minus the magnitude, whose exponential cannot overflow.
    small = exp(-abs(multiplier))
    value = (1 if multiplier >= 0 else small) / (1 + small)
    return value, value * (1 - value)
