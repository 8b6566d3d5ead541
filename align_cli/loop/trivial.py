"""How far rules that know nothing of the answers' worth predict a round's preferences."""

from collections.abc import Mapping, Sequence

from align_cli.rows import Judged
from align_cli.training_rows import Pair
from align_cli.trivial_rules import RULES

WITHOUT_LENGTH = ("first", "more_digits", "has_answer", "stops")
"""Rules on whole answers; `longer` looks at what is trained on, which may be a step."""


def trivial_metrics(
    pairs: Sequence[Pair], judged: Mapping[tuple[str, int], Judged]
) -> dict[str, float]:
    """`pair/trivial/RULE`: the share of pairs whose chosen answer the rule would choose too.

    Where the rule sees no difference it tosses a coin, which counts as a half. So 0.5 says that it
    predicts nothing, 1 that the pairs teach the rule as well as anything, 0 that they teach its
    opposite. `longer` counts tokens, `first` is the lower index, `has_answer` asks whether the
    verifier read an answer out of the text, `stops` whether it ended before the token limit. Of
    pairs of steps only `longer` (the step's tokens) and `first` say anything.
    """
    if not pairs:
        return {}
    shares = {"longer": _share([side_tokens(pair, judged) for pair in pairs])}
    both = [(judged[p.prompt_id, p.chosen], judged[p.prompt_id, p.rejected]) for p in pairs]
    for name in WITHOUT_LENGTH:
        if name == "first" or all(pair.steps is None for pair in pairs):
            shares[name] = _share([(_holds(name, one), _holds(name, other)) for one, other in both])
    return {f"pair/trivial/{name}": share for name, share in shares.items()}


def _holds(rule: str, one: Judged) -> float:
    return one.label.answer is not None if rule == "has_answer" else RULES[rule](one.completion)


def side_tokens(pair: Pair, judged: Mapping[tuple[str, int], Judged]) -> tuple[int, int]:
    """How many tokens the chosen and the rejected side have."""
    if pair.steps is not None:
        return pair.steps.chosen_tokens, pair.steps.rejected_tokens
    chosen, rejected = (judged[pair.prompt_id, index] for index in (pair.chosen, pair.rejected))
    return len(chosen.completion.token_ids), len(rejected.completion.token_ids)


def _share(both: Sequence[tuple[float, float]]) -> float:
    return sum(_agrees(one, other) for one, other in both) / len(both)


def _agrees(chosen: float, rejected: float) -> float:
    return 0.5 if chosen == rejected else float(chosen > rejected)
