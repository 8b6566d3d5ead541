"""Two verdicts on the same answers, in numbers: what is trained on, and what it is held against."""

from collections.abc import Mapping, Sequence

from align_cli.loop.best_of import Twice, best_of, is_plain
from align_cli.loop.selection import predicted_wrong_share
from align_cli.loop.verdicts import by_stratum
from align_cli.rows import Judged, Label
from align_cli.training_rows import Pair

Key = tuple[str, int]


def audit_metrics(
    judged: Sequence[Judged],
    audited: Mapping[Key, Label],
    pairs: Sequence[Pair],
    strata: Mapping[str, str],
    *,
    predicts: bool,
) -> dict[str, float]:
    """Numbers of a round's audit; shares are of what both could judge.

        audit/judged, audit/unscored              answers that both judged; that the audit could not
        audit/right_share, audit/said_right_share right by the audit; by the verifier trained on
        audit/gap                                 the second less the first
        audit/false_positive_rate                 said right, of those that the audit calls wrong
        audit/false_negative_rate                 said wrong, of those that it calls right
        audit/chosen_wrong_share, .../<stratum>   chosen answers that the audit calls wrong
        audit/chosen_wrong_predicted, ...         the same, expected from the rates (`predicts`)
        audit/pairs_turned_share                  pairs whose rejected answer it scores higher
        audit/best_of_<n>, .../said               the best of n by the verifier trained on: what the
                                                  audit says of it, and what the verifier does

    Where one of the two only grades, what needs its verdicts is left out.
    """
    known = {(one.completion.prompt_id, one.completion.index): one for one in judged}
    both = {
        key: (one.label, audited[key])
        for key, one in known.items()
        if one.label.score is not None and audited[key].score is not None
    }
    silent = sum(label.score is None for label in audited.values())
    metrics: dict[str, float] = {"audit/judged": len(both), "audit/unscored": silent}
    said = {key: a.right for key, (a, b) in both.items() if a.right is not None}
    truth = {key: b.right for key, (a, b) in both.items() if b.right is not None}
    metrics |= _rates(said, truth)
    metrics |= _winners(pairs, audited, truth, strata)
    if predicts and truth:
        for name, share in predicted_wrong_share(said, truth, strata).items():
            metrics[f"audit/chosen_wrong_predicted{'/' * bool(name)}{name}"] = share
    plain = [
        Twice(key[0], _worth(a), _worth(b)) for key, (a, b) in both.items() if is_plain(known[key])
    ]
    for n, (score, held) in best_of(plain).items():
        metrics |= {f"audit/best_of_{n}": held, f"audit/best_of_{n}/said": score}
    return metrics


def _worth(label: Label) -> float:
    """1 and 0 where it says right and wrong, else its score."""
    assert label.score is not None, "both judged it"
    return float(label.right) if label.right is not None else label.score


def _rates(said: Mapping[Key, bool], truth: Mapping[Key, bool]) -> dict[str, float]:
    found: dict[str, float] = {}
    keys = [key for key in said if key in truth]
    if truth:
        found["audit/right_share"] = sum(truth.values()) / len(truth)
    if keys:
        yes = sum(said[key] for key in keys) / len(keys)
        found["audit/said_right_share"] = yes
        found["audit/gap"] = yes - sum(truth[key] for key in keys) / len(keys)
        wrong = [said[key] for key in keys if not truth[key]]
        right = [said[key] for key in keys if truth[key]]
        if wrong:
            found["audit/false_positive_rate"] = sum(wrong) / len(wrong)
        if right:
            found["audit/false_negative_rate"] = 1 - sum(right) / len(right)
    return found


def _winners(
    pairs: Sequence[Pair],
    audited: Mapping[Key, Label],
    truth: Mapping[Key, bool],
    strata: Mapping[str, str],
) -> dict[str, float]:
    whole = [pair for pair in pairs if pair.steps is None]
    won = [audited[p.prompt_id, p.chosen] for p in whole if (p.prompt_id, p.chosen) in truth]
    shares = {"": won, **{f"/{name}": some for name, some in by_stratum(won, strata)}}
    found = {
        f"audit/chosen_wrong_share{name}": sum(not label.right for label in some) / len(some)
        for name, some in shares.items()
        if some
    }
    scores = [
        (audited[pair.prompt_id, pair.chosen].score, audited[pair.prompt_id, pair.rejected].score)
        for pair in whole
    ]
    told = [(a, b) for a, b in scores if a is not None and b is not None]
    if told:
        found["audit/pairs_turned_share"] = sum(a < b for a, b in told) / len(told)
    return found
