"""Pairs of steps, on a tree written out by hand."""

from collections.abc import Sequence

from step_worlds import answer

from align_cli.pairing.sibling_steps import sibling_steps
from align_cli.training_rows import Pair, Steps

TREE = [
    answer(0, 5, 6, 1, right=True),
    answer(1, 5, 6, 2, right=False),
    answer(2, 5, 7, 1, right=True),
    answer(3, 8, 6, 1, right=False),
    answer(4, 8, 6, 2, right=False),
    answer(5, 3, 3, 3, right=None),
    answer(6, 4, 3, 3, right=True),
    answer(7, 4, 3, 2, right=False),
]
"""5: 2 of 3 (6: 1 of 2, 7: 1 of 1);  8: 0 of 2;  3: unscored;  4: 1 of 2."""


def made(**changed: object) -> list[tuple[int, int]]:
    settings = {"seed": 7, "against": "worst", "where": "everywhere", "least_visits": 1} | changed
    found = sibling_steps([one for one in TREE if one.label.score is not None], **settings)  # type: ignore[arg-type]
    return [(pair.chosen, pair.rejected) for pair in found]


def test_each_branching_gives_its_best_step_over_its_worst() -> None:
    pairs: Sequence[Pair] = sibling_steps(
        TREE[:5], 0, against="worst", where="everywhere", least_visits=1
    )
    assert pairs[0] == Pair(
        prompt_id=TREE[0].completion.prompt_id, chosen=0, rejected=3, margin=2 / 3,
        kind="natural",
        steps=Steps(chosen_tokens=2, rejected_tokens=2, chosen_value=2 / 3,
                    rejected_value=0.0, chosen_visits=3, rejected_visits=2),
    )  # fmt: skip
    assert [(p.chosen, p.rejected) for p in pairs] == [(0, 3), (2, 0), (0, 1)]
    assert [p.steps and (p.steps.chosen_tokens, p.steps.rejected_tokens) for p in pairs] == [
        (2, 2), (4, 4), (6, 6)
    ]  # fmt: skip


def test_the_opponent_the_place_and_the_visits_are_settings() -> None:
    assert made() == [(0, 3), (2, 0), (0, 1), (6, 7)]
    assert made(against="next") == [(0, 6), (2, 0), (0, 1), (6, 7)]
    assert {made(against="random", seed=seed)[0] for seed in range(20)} == {(0, 3), (0, 6)}
    # From 5 to 7, which is one answer's: 5-6 is not on the way.
    assert made(where="best_path") == [(0, 3), (2, 0)]
    assert made(least_visits=2) == [(0, 3)]


def test_equal_values_are_no_pair() -> None:
    assert sibling_steps(TREE[3:5], 0, against="worst", where="everywhere", least_visits=1) == []
