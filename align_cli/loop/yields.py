"""What the pairing stage made of a round's completions, in numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from align_cli.loop.trivial import side_tokens, trivial_metrics
from align_cli.loop.verdicts import by_stratum, wrong_share
from align_cli.rows import Judged
from align_cli.training_rows import Group, Pair


@dataclass(frozen=True)
class Offered:
    """What one round puts before the pairing rule: judged, and through the gate."""

    siblings: dict[str, list[Judged]]
    """{prompt id: completions in order of index}"""
    silent: dict[str, int]
    """{prompt id: unjudged completions}"""
    gate: Counter[str]
    """Corrections by outcome: `passed`, or the first check that failed."""


def why_no_pair(siblings: Sequence[Judged], silent: int) -> str:
    """One reason for a prompt without a pair."""
    if len(siblings) < 2 and silent:
        return "unscored"
    rights = {judged.label.right for judged in siblings}
    if rights == {True}:
        return "all_right"
    scores = {judged.label.score for judged in siblings}
    if rights == {False} and len(scores) == 1:
        return "all_wrong"
    if len(siblings) < 2:
        return "one_completion"
    return "tied" if len(scores) == 1 else "refused_by_rule"


def why_no_group(siblings: Sequence[Judged], silent: int) -> str:
    """One reason for a prompt without a group whose rule does not say why."""
    if len(siblings) < 2:
        return "unscored" if silent else "too_few"
    return "refused_by_rule"


def pair_metrics(
    pairs: Sequence[Pair], none: Mapping[str, int], offered: Offered, judged: Sequence[Judged]
) -> dict[str, float]:
    """Numbers of the pairs, and of the prompts that gave none."""
    metrics: dict[str, float] = {
        "pair/count": len(pairs),
        "pair/natural": sum(pair.kind == "natural" for pair in pairs),
        "pair/corrected": sum(pair.kind == "corrected" for pair in pairs),
    }
    metrics |= {f"pair/none/{reason}": count for reason, count in none.items()}
    metrics |= {f"gate/{outcome}": count for outcome, count in sorted(offered.gate.items())}
    if pairs:
        amount = sum(pair.weight for pair in pairs)
        metrics["pair/margin"] = sum(pair.weight * pair.margin for pair in pairs) / amount
        known = {(j.completion.prompt_id, j.completion.index): j for j in judged}
        longer = sum(one > other for one, other in (side_tokens(pair, known) for pair in pairs))
        metrics["pair/chosen_longer_share"] = longer / len(pairs)
        metrics["pair/tied"] = sum(pair.tied for pair in pairs)
        if any(pair.strength_mean is not None or pair.bald is not None for pair in pairs):
            metrics["pair/flipped"] = sum(pair.flipped for pair in pairs)
            metrics["pair/softened"] = sum(pair.p_right < 1 for pair in pairs)
        metrics |= trivial_metrics(pairs, known) | step_metrics(pairs)
    return metrics


def step_metrics(pairs: Sequence[Pair]) -> dict[str, float]:
    """Of pairs of steps: their prompts, depth in tokens, and visits; nothing of other pairs.

    pair/steps                     pairs of steps
    pair/prompts                   prompts that gave any
    pair/chosen_visits             judged answers through the chosen step, mean
    pair/rejected_visits           through the rejected one
    """
    steps = [pair.steps for pair in pairs if pair.steps is not None]
    if not steps:
        return {}
    return {
        "pair/steps": len(steps),
        "pair/prompts": len({pair.prompt_id for pair in pairs}),
        "pair/chosen_visits": sum(one.chosen_visits for one in steps) / len(steps),
        "pair/rejected_visits": sum(one.rejected_visits for one in steps) / len(steps),
    }


def filter_metrics(kept: int, filtered: Mapping[str, int]) -> dict[str, float]:
    """Pairs before the filter, and those it dropped by reason: made = count + sum of filtered."""
    metrics: dict[str, float] = {"pair/made": kept + sum(filtered.values())}
    return metrics | {f"pair/filtered/{reason}": n for reason, n in sorted(filtered.items())}


def group_metrics(
    groups: Sequence[Group], none: Mapping[str, int], offered: Offered, judged: Sequence[Judged]
) -> dict[str, float]:
    """Numbers of the groups, and of the prompts that gave none.

    `group/left_out` counts judged completions of grouped prompts that are in no group;
    `group/score_spread` is the mean of highest minus lowest score [score units].
    """
    members = {(group.prompt_id, index) for group in groups for index in group.indices}
    sizes = [len(group.indices) for group in groups]
    grouped = {group.prompt_id for group in groups}
    known = {(j.completion.prompt_id, j.completion.index): j for j in judged}
    metrics: dict[str, float] = {
        "group/count": len(groups),
        "group/completions": sum(sizes),
        "group/tied": sum(len(set(group.scores)) == 1 for group in groups),
        "group/corrected": sum(known[key].completion.kind == "corrected" for key in members),
        "group/left_out": sum(
            len(siblings)
            for prompt_id, siblings in offered.siblings.items()
            if prompt_id in grouped
        )
        - len(members),
    }
    metrics |= {f"group/none/{reason}": count for reason, count in none.items()}
    metrics |= {f"gate/{outcome}": count for outcome, count in sorted(offered.gate.items())}
    if groups:
        spreads = [max(group.scores) - min(group.scores) for group in groups]
        metrics["group/size"] = sum(sizes) / len(groups)
        metrics["group/smallest"], metrics["group/largest"] = min(sizes), max(sizes)
        metrics["group/score_spread"] = sum(spreads) / len(groups)
    return metrics


def _chosen(rows: Sequence[Pair | Group]) -> list[tuple[str, int]]:
    pairs = [row for row in rows if isinstance(row, Pair) and row.steps is None]
    return [(pair.prompt_id, pair.chosen) for pair in pairs]


def _best(group: Group) -> list[int]:
    """Those with the highest score, where there is a lower one."""
    if len(set(group.scores)) == 1:
        return []
    highest = max(group.scores)
    return [i for i, score in zip(group.indices, group.scores, strict=True) if score == highest]


def winner_metrics(
    rows: Sequence[Pair | Group], judged: Sequence[Judged], strata: Mapping[str, str]
) -> dict[str, float]:
    """How many winners are wrong by the verifier without noise; 0 where there is no noise.

        pair/chosen_wrong_share   of the chosen completions of pairs
        group/best_wrong_share    of the completions of highest score of groups
        .../<stratum>             the same of the prompts of one stratum

    `strata` is {prompt id: stratum}. Nothing where no clean verdict is known, and nothing of pairs
    of steps: a step is neither right nor wrong.
    """
    labels = {(j.completion.prompt_id, j.completion.index): j.label for j in judged}
    shares: dict[str, float | None] = {}
    for name, winners in (
        ("pair/chosen_wrong_share", _chosen(rows)),
        (
            "group/best_wrong_share",
            [(r.prompt_id, i) for r in rows if isinstance(r, Group) for i in _best(r)],
        ),
    ):
        won = [labels[key] for key in winners]
        shares[name] = wrong_share(won)
        shares |= {f"{name}/{part}": wrong_share(some) for part, some in by_stratum(won, strata)}
    return {name: share for name, share in shares.items() if share is not None}
