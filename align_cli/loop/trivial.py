"""How far rules that know nothing of the answers' worth predict a round's preferences."""

from collections.abc import Callable, Mapping, Sequence

from align_cli.rows import Judged, Pair

RULES: Mapping[str, Callable[[Judged], float]] = {
    "longer": lambda one: len(one.completion.token_ids),
    "first": lambda one: -one.completion.index,
    "more_digits": lambda one: sum(letter.isdigit() for letter in one.completion.text),
    "has_answer": lambda one: one.label.answer is not None,
    "stops": lambda one: one.completion.finish == "stop",
}
"""{rule: what it holds against the other answer's; more wins}"""


def trivial_metrics(
    pairs: Sequence[Pair], judged: Mapping[tuple[str, int], Judged]
) -> dict[str, float]:
    """`pair/trivial/RULE`: the share of pairs whose chosen answer the rule would choose too.

    Where the rule sees no difference it tosses a coin, which counts as a half. So 0.5 says that it
    predicts nothing, 1 that the pairs teach the rule as well as anything, 0 that they teach its
    opposite. `longer` counts tokens, `first` is the lower index, `has_answer` asks whether the
    verifier read an answer out of the text, `stops` whether it ended before the token limit.
    """
    if not pairs:
        return {}
    both = [(judged[p.prompt_id, p.chosen], judged[p.prompt_id, p.rejected]) for p in pairs]
    return {
        f"pair/trivial/{name}": sum(_agrees(rule(one), rule(other)) for one, other in both)
        / len(both)
        for name, rule in RULES.items()
    }


def _agrees(chosen: float, rejected: float) -> float:
    return 0.5 if chosen == rejected else float(chosen > rejected)
