"""From scores to the numbers that a run reports."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from align_cli.evaluation.pass_at_k import pass_at_k
from align_cli.rows import Score


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Means over held-out prompts, by metric name; what was not measured is absent, never 0.

        eval/greedy_accuracy             share of prompts whose greedy answer is right
        eval/sampled_accuracy            mean@k: mean share of right samples
        eval/sampled_accuracy/<stratum>  the same over the prompts of one stratum
        eval/pass_at_<k>                 unbiased, k = 1, 2, 4, ... up to the samples per prompt
        eval/maj_at_<k>                  majority vote over the samples, k = samples per prompt
        eval/greedy_score, eval/sampled_score  where the verifier only grades: mean scores, and
                                         none of the accuracies above             [score units]
        eval/length_tokens               mean length of a sample                       [tokens]
        eval/truncated_share             share of samples cut at the token limit
        eval/unscored_share              share of samples that the verifier could not judge

    Each prompt weighs the same. A prompt counts towards a metric if enough of its samples were
    judged: one for mean@k and maj@k, k for pass@k.
    """
    if not scores:
        return {}
    # A prompt without samples has its greedy answer in the counts, see evaluation/scores.py.
    drawn = [max(1, score.samples + score.unscored) for score in scores]
    per_prompt = max(score.samples + score.unscored for score in scores)
    metrics = _mean("eval/greedy_accuracy", [one.greedy_right for one in scores])
    metrics |= _mean("eval/sampled_accuracy", [_share_right(one) for one in scores])
    k = 1
    while k <= per_prompt:
        metrics |= _mean(f"eval/pass_at_{k}", [_pass_at(one, k) for one in scores])
        k *= 2
    metrics |= _mean(f"eval/maj_at_{per_prompt}", [one.majority_right for one in scores])
    metrics |= _mean("eval/greedy_score", [one.greedy_score for one in scores])
    metrics |= _mean("eval/sampled_score", [one.sampled_score for one in scores])
    metrics["eval/length_tokens"] = fmean(one.length_tokens for one in scores)
    metrics["eval/truncated_share"] = sum(one.truncated for one in scores) / sum(drawn)
    metrics["eval/unscored_share"] = sum(one.unscored for one in scores) / sum(drawn)

    strata: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        if score.stratum:
            strata[score.stratum].append(score)
    for stratum in sorted(strata):
        shares = [_share_right(one) for one in strata[stratum]]
        metrics |= _mean(f"eval/sampled_accuracy/{stratum}", shares)
        grades = [one.sampled_score for one in strata[stratum]]
        metrics |= _mean(f"eval/sampled_score/{stratum}", grades)
    return metrics


def _mean(name: str, values: Sequence[float | None]) -> dict[str, float]:
    """The mean over what is known, under its name; nothing where nothing is known."""
    known = [value for value in values if value is not None]
    return {name: fmean(known)} if known else {}


def _share_right(score: Score) -> float | None:
    return score.right / score.samples if score.right is not None and score.samples else None


def _pass_at(score: Score, k: int) -> float | None:
    if score.right is None or score.samples < k:
        return None
    return pass_at_k(score.samples, score.right, k)
