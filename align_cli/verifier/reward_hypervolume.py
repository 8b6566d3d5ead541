"""Several rewards, weighed in each round by what more of each would add to the hypervolume."""

from collections.abc import Callable, Sequence
from typing import Annotated

from torch import Tensor

from align_cli.errors import ConfigError
from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.hypervolume import MOST, Point, hypervolume
from align_cli.verifier.members import Weights, by_weights, combined, means_by_round, member_scores


def reward_hypervolume(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    earlier: Sequence[Sequence[Label]],
    device: str,
    say: Callable[[str], None],
    *,
    paths: tuple[str, ...],
    reference: Annotated[float, "(-inf, inf)", "score units"],
    step: Annotated[float, "> 0", "score units"],
    standardise: bool,
    threshold: float | None,
    probe: str | None,
    min_probe_accuracy: Annotated[float | None, "[0, 1]", "share of pairs"],
) -> list[Label]:
    """Rewards weighed by their contribution to the hypervolume of the rounds so far.

        r_k    scores of the models k = 1..K, standardised as in verifier=reward_ensemble
        V      = (mean of r_1, ..., mean of r_K) over the judged answers of a round; P: all rounds'
        HV(P)  = volume of the union over V in P of the boxes between the reference point and V
        g_k    = HV(P and V_last + step e_k) - HV(P)
        w_k    = g_k / sum of g_j          1/K before the first round, and where every g is 0
        score  = w_1 r_1 + ... + w_K r_K

    g_k is what one `step` of reward k alone would add from where the last round stands: of a single
    round's box it is the product of its other sides, so the reward that lags weighs most. Exact
    volumes, for at most three rewards. Scores and weights stand on every label (member_scores,
    member_weights); a round's numbers are label/member_M_mean and label/member_M_weight. Where the
    last round lies at or below the reference point in two rewards, no g is above 0.

    The judge changes with the rounds, so it cannot examine: name evaluation.verifier.

    Source: arXiv:2509.11452 (dynamic reward weighting), which scales a fixed weighted sum by
    0.5 + 1.5 tanh(gain of hypervolume); pairs made by the order of scores cannot see a scale, so
    each reward's own contribution is taken for its weight: **reconstruction**, not the source's.

    Settings:
        paths: two or three reward models.
        reference: every coordinate of the reference point; below it a mean reward counts nothing.
        step: how far ahead a contribution is looked for.
        standardise, threshold, probe, min_probe_accuracy: as of verifier=reward_ensemble.
    """
    if len(paths) > MOST:
        raise ConfigError(
            f"verifier.paths: got {len(paths)}; hypervolumes are exact for at most {MOST} rewards"
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
    weights = hypervolume_weights(means, (reference,) * len(paths), step)
    return combined(completions, found, by_weights(weights), threshold)


def hypervolume_weights(means: Sequence[Tensor], reference: Point, step: float) -> Weights:
    """[K] weights after these rounds' mean rewards."""
    count = len(reference)
    points = [tuple(each.tolist()) for each in means]
    gains = [0.0] * count
    if points:
        reached = hypervolume(points, reference)
        for k in range(count):
            further = tuple(x + step * (i == k) for i, x in enumerate(points[-1]))
            gains[k] = max(0.0, hypervolume([*points, further], reference) - reached)
    total = sum(gains)
    return tuple(gain / total for gain in gains) if total > 0 else (1 / count,) * count
