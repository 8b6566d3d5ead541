"""Pairs balanced against a rule that knows nothing: on pairs written out, and in a run."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from judged_rows import judged
from small_runs import run_small

from align_cli.errors import ConfigError
from align_cli.filter.trivial_rule import trivial_rule
from align_cli.training_rows import Pair

LENGTHS = [(9, 4)] * 7 + [(4, 9)] * 3 + [(5, 5)] * 2
"""Tokens of the chosen and of the rejected answer, pair by pair."""


def round_of(lengths):
    """Pairs of a prompt each, and their answers; those of 9 tokens say `mark`."""
    pairs, answers = [], {}
    for number, both in enumerate(lengths):
        prompt = f"{number:016x}"
        for index, length in enumerate(both):
            text = "a mark" if length == 9 else "plain"
            one = judged(index, index == 0, prompt_id=prompt, length=length, text=text)
            answers[prompt, index] = one.completion
        pairs.append(Pair(prompt_id=prompt, chosen=0, rejected=1, margin=1.0, kind="natural"))
    return pairs, answers


@pytest.mark.parametrize("settings", [("longer", None), ("marker", "mark")])
def test_the_rule_is_right_in_half_of_what_is_kept(settings) -> None:
    pairs, answers = round_of(LENGTHS)
    rule, marker = settings
    found = trivial_rule(pairs, answers, 5, rule=rule, marker=marker)
    assert [each for each in found if each] == [f"trivial_{rule}"] * 4
    assert found[7:] == [None] * 5, "only pairs of the larger kind go, and ties stay"
    turned = [replace(pair, chosen=1, rejected=0) for pair in pairs]
    assert trivial_rule(turned, answers, 5, rule=rule, marker=marker)[7:] == [None] * 5
    order = list(range(len(pairs)))
    random.Random(1).shuffle(order)
    again = trivial_rule([pairs[n] for n in order], answers, 5, rule=rule, marker=marker)
    assert again == [found[n] for n in order]
    others = [trivial_rule(pairs, answers, seed, rule=rule, marker=marker) for seed in range(9)]
    assert len({tuple(each) for each in others}) > 1


def test_where_the_rule_is_always_right_all_that_it_decides_goes() -> None:
    pairs, answers = round_of([(9, 4)] * 3 + [(5, 5)])
    found = trivial_rule(pairs, answers, 0, rule="longer", marker=None)
    assert found == ["trivial_longer"] * 3 + [None]
    assert trivial_rule(pairs, answers, 0, rule="stops", marker=None) == [None] * 4
    assert trivial_rule([], {}, 0, rule="first", marker=None) == []


@pytest.mark.parametrize(("rule", "marker"), [("marker", None), ("marker", ""), ("first", "#")])
def test_a_marker_is_named_with_its_rule_and_only_there(rule, marker) -> None:
    with pytest.raises(ConfigError, match=r"filter\.marker"):
        trivial_rule([], {}, 0, rule=rule, marker=marker)


@pytest.mark.e2e
def test_a_run_reports_the_balance_and_what_it_cost(tmp_path: Path) -> None:
    words = ("schedule.rounds=1", "task.prompts_per_round=24", "pairing=all_right_wrong")
    stage = run_small(
        tmp_path, *words, "filter=trivial_rule", "filter.rule=more_digits"
    ).rounds[0]["4_pairs"]  # fmt: skip
    assert stage["pair/trivial/more_digits"] == 0.5
    assert stage["pair/filtered/trivial_more_digits"] > 0
    kept = stage["pair/count"] + stage["pair/filtered/trivial_more_digits"]
    assert stage["pair/made"] == kept


def test_a_marker_that_is_lacking_is_said_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"filter\.marker"):
        run_small(tmp_path, "filter=trivial_rule", "filter.rule=marker")
    assert list(tmp_path.iterdir()) == []
