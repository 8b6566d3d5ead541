"""Selection accounting: how many winners must be expected to be wrong, beside how many are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from align_cli.noise.false_winners_of_pool import Counted, Expected, expected_pairs
from align_cli.rows import Judged

ONE_OF_EACH = ("first_right_first_wrong", "best_worst", "max_random", "random")
"""Pairing rules that make one pair of a prompt with an answer called right and one called wrong,
whose winner may be any of those called right."""

Key = tuple[str, int]


def predicted_wrong_share(
    said: Mapping[Key, bool], truth: Mapping[Key, bool], strata: Mapping[str, str]
) -> dict[str, float]:
    """{stratum: expected wrong winners over expected pairs}; "" is all prompts together.

    From what the answers are (`truth`) and from how often the verifier errs on them (`said`), not
    from which of them it errs on: its rates e = P(said right | wrong) and d = P(said wrong | right)
    are counted by stratum, and `expected_pairs` does the rest with every prompt's own number of
    answers as n. What is measured differs by the luck of the errors, and by what the formula
    leaves out: errors that depend on more than stratum and truth.
    """
    keys = [key for key in said if key in truth]
    by_stratum: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        by_stratum[strata.get(key[0], "")].append(key)
    parts = {name: _expected(some, said, truth) for name, some in sorted(by_stratum.items())}
    named = {name: part.wrong_share for name, part in parts.items() if name}
    pairs, wrong = (sum(getattr(p, side) for p in parts.values()) for side in ("pairs", "wrong"))
    shares = {"": Expected(pairs, wrong).wrong_share, **named}
    return {name: share for name, share in shares.items() if share is not None}


def _expected(keys: Sequence[Key], said: Mapping[Key, bool], truth: Mapping[Key, bool]) -> Expected:
    wrong = [key for key in keys if not truth[key]]
    right = [key for key in keys if truth[key]]
    high = sum(said[key] for key in wrong) / len(wrong) if wrong else 0.0
    low = sum(not said[key] for key in right) / len(right) if right else 0.0
    prompts: dict[str, list[bool]] = defaultdict(list)
    for key in keys:
        prompts[key[0]].append(truth[key])
    made = [
        expected_pairs(
            [Counted(right=sum(answers), answers=len(answers))], len(answers),
            false_positive=high, false_negative=low,
        )
        for answers in prompts.values()
    ]  # fmt: skip
    return Expected(sum(each.pairs for each in made), sum(each.wrong for each in made))


def one_kind(judged: Sequence[Judged]) -> bool:
    """Whether the formulas of selection hold: every answer an independent draw of one kind."""
    rows = [one.completion for one in judged]
    return all(row.kind == "natural" and row.continues is None for row in rows) and (
        len({(row.author, row.messages is None) for row in rows}) == 1
    )
