"""The labels of a round in numbers: how many, how many right, and how wrong they are."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from align_cli.rows import Judged, Label


def label_metrics(labels: Sequence[Label], strata: Mapping[str, str]) -> dict[str, float]:
    """Numbers of the labels; shares are of the judged, and what went unjudged is counted.

        label/false_positive_rate  said right, of those that the verifier without noise calls wrong
        label/false_negative_rate  said wrong, of those that it calls right
        label/member_M_mean, label/member_M_weight  score of member M of a judge, and its weight
        label/false_positive_rate/<stratum>, label/false_negative_rate/<stratum>  by stratum

    `strata` is {prompt id: stratum}. A rate that has nothing to be a share of is left out.
    """
    judged = [label for label in labels if label.score is not None]
    metrics: dict[str, float] = {"label/judged": len(judged), "label/count": len(labels)}
    for verdict, count in Counter(label.verdict for label in labels).items():
        if verdict != "judged":
            metrics[f"label/unscored/{verdict}"] = count
    if judged:
        metrics["label/mean_score"] = sum(label.score or 0.0 for label in judged) / len(judged)
    metrics |= _members(judged)
    rights = [label for label in judged if label.right is not None]
    if rights:
        metrics["label/right_share"] = sum(bool(label.right) for label in rights) / len(rights)
    metrics |= _error_rates(judged)
    for stratum, some in by_stratum(judged, strata):
        metrics |= {f"{name}/{stratum}": rate for name, rate in _error_rates(some).items()}
    return metrics


def forced_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """How often the policy is right when it is made to answer, by the steps that it had before.

        label/forced_right/<k>_steps    share right of the judged forced answers after k steps
        label/forced_unscored           how many forced answers could not be judged

    Nothing where no answer was forced. The curve over k is what a longer answer is worth.
    """
    by_key = {(one.completion.prompt_id, one.completion.index): one.completion for one in judged}
    rights: dict[int, list[bool]] = defaultdict(list)
    forced = [one for one in judged if one.completion.kind == "forced"]
    for one in forced:
        row = one.completion
        steps = 0
        if row.continues is not None:
            ends = by_key[row.prompt_id, row.continues].step_ends or ()
            steps = sum(end <= row.kept_tokens for end in ends)
        if one.label.right is not None:
            rights[steps].append(one.label.right)
    if not forced:
        return {}
    shares = {f"label/forced_right/{k}_steps": fmean(rights[k]) for k in sorted(rights)}
    silent = sum(one.label.score is None for one in forced)
    return {**shares, "label/forced_unscored": silent}


def _members(judged: Sequence[Label]) -> dict[str, float]:
    """Means over the answers that have them, by member."""
    metrics: dict[str, float] = {}
    scores = [label.member_scores for label in judged if label.member_scores is not None]
    weights = [label.member_weights for label in judged if label.member_weights is not None]
    for name, rows in (("mean", scores), ("weight", weights)):
        for number, values in enumerate(zip(*rows, strict=True)):
            metrics[f"label/member_{number}_{name}"] = sum(values) / len(values)
    return metrics


def by_stratum(labels: Iterable[Label], strata: Mapping[str, str]) -> list[tuple[str, list[Label]]]:
    """[(stratum, its labels)] in order of name; prompts without a stratum are in none."""
    parts: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        if stratum := strata[label.prompt_id]:
            parts[stratum].append(label)
    return sorted(parts.items())


def wrong_share(labels: Iterable[Label]) -> float | None:
    """The share that is wrong by the clean verdict; None where no verdict is known."""
    known = [label.clean_right for label in labels if label.clean_right is not None]
    return sum(not right for right in known) / len(known) if known else None


def _error_rates(labels: Iterable[Label]) -> dict[str, float]:
    known = [x for x in labels if x.right is not None and x.clean_right is not None]
    wrong = [x for x in known if not x.clean_right]
    right = [x for x in known if x.clean_right]
    rates: dict[str, float] = {}
    if wrong:
        rates["label/false_positive_rate"] = sum(bool(x.right) for x in wrong) / len(wrong)
    if right:
        rates["label/false_negative_rate"] = sum(not x.right for x in right) / len(right)
    return rates
