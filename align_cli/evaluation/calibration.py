"""How well a judge's probabilities of preference agree with the pairs it is examined on."""

from collections.abc import Sequence
from math import exp, log1p
from statistics import fmean

BINS = 10


def preference_metrics(log_odds: Sequence[float], prefix: str) -> dict[str, float]:
    """Numbers of a judge on pairs whose first answer is known to be the better one.

        p = sigmoid(log-odds that the first is better)       confidence c = max(p, 1 - p)

        <prefix>_pairs      how many
        <prefix>_accuracy   share with p > 1/2; p = 1/2 counts half
        <prefix>_nll        mean of -log p                                           [nats]
        <prefix>_confidence mean c: the accuracy that the judge itself expects
        <prefix>_ece        expected calibration error: sum over 10 bins of c in [1/2, 1] of
                            (share of the pairs in the bin) |accuracy - mean c|

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3 (ECE), over bins of equal width.
    """
    if not log_odds:
        return {}
    rights = [0.5 if z == 0 else float(z > 0) for z in log_odds]
    confidences = [1 / (1 + exp(-abs(z))) for z in log_odds]
    bins: dict[int, list[int]] = {}
    for place, confidence in enumerate(confidences):
        bins.setdefault(min(BINS - 1, int((2 * confidence - 1) * BINS)), []).append(place)
    gaps = [
        abs(sum(rights[place] - confidences[place] for place in places)) for places in bins.values()
    ]
    return {
        f"{prefix}_pairs": len(log_odds),
        f"{prefix}_accuracy": fmean(rights),
        # -log sigmoid(z) that overflows for no z.
        f"{prefix}_nll": fmean(max(-z, 0.0) + log1p(exp(-abs(z))) for z in log_odds),
        f"{prefix}_confidence": fmean(confidences),
        f"{prefix}_ece": sum(gaps) / len(log_odds),
    }
