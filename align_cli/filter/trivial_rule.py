"""Pairs are dropped until a rule that knows nothing of the answers is right as often as wrong."""

from collections.abc import Mapping, Sequence
from typing import Literal

from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Completion
from align_cli.seeds import derive
from align_cli.training_rows import Pair
from align_cli.trivial_rules import RULES


def trivial_rule(
    round_pairs: Sequence[Pair],
    answers: Mapping[tuple[str, int], Completion],
    seed: int,
    *,
    rule: Literal["longer", "first", "more_digits", "stops", "marker"],
    marker: str | None,
) -> list[str | None]:
    """Of the round's pairs in which the rule chooses, as many kept where it is right as where not.

        w   pairs whose chosen answer the rule would choose too
        l   pairs whose rejected answer it would choose
        dropped   |w - l| of the larger kind, drawn at random         kept   2 min(w, l) + the rest

    So `pair/trivial/RULE` is 1/2 among what is kept, and a policy learns nothing of the rule from
    how often it wins. Pairs in which the rule sees no difference are all kept. What was dropped is
    counted (`pair/filtered/trivial_RULE`). Which pairs go depends on the seed and on the pairs, not
    on their order. Where the rule is right in every pair it decides, all of those go: then the
    preferences of the round cannot be told from the rule.

    Balance is in counts: the margin of a rule's right and wrong pairs may still differ.

    Settings:
        rule: `longer` (more tokens), `first` (the lower index), `more_digits`, `stops` (ended
            before the token limit), `marker` (holds the text `marker`).
        marker: the text, for rule=marker; null for the other rules.
    """
    if (rule == "marker") != bool(marker):
        raise ConfigError(
            f"filter.rule={rule} with filter.marker={marker!r}: a marker is named where the rule "
            "is marker, and only there"
        )
    if any(pair.steps is not None for pair in round_pairs):
        raise AlignError("filter=trivial_rule compares whole answers, but these pairs are of steps")

    def holds(index: int, pair: Pair) -> float:
        row = answers[pair.prompt_id, index]
        return float(marker in row.text) if marker else RULES[rule](row)

    decided: dict[bool, list[int]] = {True: [], False: []}
    for place, pair in enumerate(round_pairs):
        chosen, rejected = holds(pair.chosen, pair), holds(pair.rejected, pair)
        if chosen != rejected:
            decided[chosen > rejected].append(place)
    larger = max(decided.values(), key=len)
    excess = len(larger) - min(map(len, decided.values()))

    def luck(place: int) -> int:
        pair = round_pairs[place]
        return derive(seed, pair.prompt_id, pair.chosen, pair.rejected)

    dropped = set(sorted(larger, key=luck)[:excess])
    return [f"trivial_{rule}" if place in dropped else None for place in range(len(round_pairs))]
