"""Metrics by item: what one held-out prompt contributes to a mean that a run reports."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from align_cli.config.nearest import listed, meant
from align_cli.errors import ConfigError
from align_cli.evaluation.pass_at_k import pass_at_k
from align_cli.rows import Score

ITEM_METRIC = re.compile(
    r"(greedy_accuracy|sampled_accuracy|greedy_score|sampled_score|regularised_score"
    r"|pass_at_(\d+)|maj_at_(\d+))(/.+)?"
)


@dataclass(frozen=True)
class Metric:
    """A mean over held-out prompts; higher is better."""

    name: str
    """As in metrics.jsonl without `eval/`: `pass_at_4`, or `sampled_accuracy/3 steps`."""
    stratum: str | None
    """The part of the held-out prompts that it is a mean over; None for all."""
    of: Callable[[Score], float | None]
    """An item's share; None where too few of its answers were judged."""

    @property
    def is_greedy(self) -> bool:
        """Whether an item is right or wrong and nothing between: McNemar's test is exact."""
        return self.name.startswith("greedy_accuracy")

    @property
    def is_exact(self) -> bool:
        """Whether held-out prompts are all there are (a bandit's contexts), not a sample."""
        return self.name.startswith("regularised_score")


def metric_named(name: str, scores: Sequence[Score]) -> Metric:
    """The metric of that name, `eval/` or not, if these scores have it."""
    known = _known(scores)
    short = name.removeprefix("eval/")
    found = ITEM_METRIC.fullmatch(short)
    if found is None or short not in known:
        raise ConfigError(
            f"metric: {name!r} cannot be compared prompt by prompt{meant(short, known)}; "
            f"these runs have {listed(known)}"
        )
    base, stratum = found[1], found[4]
    return Metric(short, stratum[1:] if stratum else None, _share(base, found[2]))


def _share(base: str, k: str | None) -> Callable[[Score], float | None]:
    if k is not None:
        wanted = int(k)
        return lambda s: (
            pass_at_k(s.samples, s.right, wanted)
            if s.right is not None and s.samples >= wanted
            else None
        )
    if base == "greedy_accuracy":
        return lambda s: None if s.greedy_right is None else float(s.greedy_right)
    if base == "sampled_accuracy":
        return lambda s: s.right / s.samples if s.right is not None and s.samples else None
    if base == "greedy_score":
        return lambda s: s.greedy_score
    if base == "sampled_score":
        return lambda s: s.sampled_score
    if base == "regularised_score":
        return lambda s: s.regularised_score
    return lambda s: s.majority_right


def _known(scores: Iterable[Score]) -> list[str]:
    """What `evaluation.summary` reports of these scores, by item."""
    rows = list(scores)
    counted = [row for row in rows if row.samples and row.right is not None]
    drawn = max((row.samples + row.unscored for row in counted), default=0)
    names = ["greedy_accuracy"] if any(row.greedy_right is not None for row in rows) else []
    if drawn:
        powers = [2**i for i in range(drawn.bit_length())]
        names += ["sampled_accuracy", *(f"pass_at_{k}" for k in powers), f"maj_at_{drawn}"]
    names += ["greedy_score"] if any(row.greedy_score is not None for row in rows) else []
    names += ["sampled_score"] if any(row.sampled_score is not None for row in rows) else []
    exact = any(row.regularised_score is not None for row in rows)
    names += ["regularised_score"] if exact else []
    strata = sorted({row.stratum for row in rows if row.stratum})
    return names + [f"{name}/{stratum}" for name in names for stratum in strata]
