"""What a round says of its labels and of its winners, overall and by stratum."""

from dataclasses import replace

import pytest
from judged_rows import judged

from align_cli.loop.verdicts import label_metrics
from align_cli.loop.yields import winner_metrics
from align_cli.rows import Judged
from align_cli.training_rows import Group, Pair

STRATA = {"a": "2 steps", "b": "9 steps", "c": ""}


def said(prompt_id: str, index: int, right: bool | None, clean: bool | None) -> Judged:
    row = judged(index, right, prompt_id=prompt_id)
    score = None if clean is None else float(clean)
    return replace(row, label=replace(row.label, clean_right=clean, clean_score=score))


ROWS = [
    said("a", 0, True, False),
    said("a", 1, False, False),
    said("a", 2, True, True),
    said("b", 0, False, True),
    said("b", 1, True, True),
    said("b", 2, None, None),
    said("c", 0, True, False),
    said("c", 1, False, True),
]


def test_error_rates_are_of_the_clean_verdicts_of_each_stratum() -> None:
    told = label_metrics([row.label for row in ROWS], STRATA)
    rates = {name: value for name, value in told.items() if "_rate" in name}
    assert rates == {
        "label/false_positive_rate": pytest.approx(2 / 3),
        "label/false_negative_rate": pytest.approx(2 / 4),
        "label/false_positive_rate/2 steps": 1 / 2,
        "label/false_negative_rate/2 steps": 0,
        "label/false_negative_rate/9 steps": 1 / 2,
    }
    assert (told["label/judged"], told["label/count"]) == (7, 8)
    assert told["label/unscored/timeout"] == 1


def pair(prompt_id: str, chosen: int, rejected: int) -> Pair:
    return Pair(prompt_id=prompt_id, chosen=chosen, rejected=rejected, margin=1.0, kind="natural")


def test_wrong_winners_of_pairs() -> None:
    pairs = [pair("a", 0, 1), pair("b", 1, 0), pair("c", 0, 1)]
    assert winner_metrics(pairs, ROWS, STRATA) == {
        "pair/chosen_wrong_share": pytest.approx(2 / 3),
        "pair/chosen_wrong_share/2 steps": 1,
        "pair/chosen_wrong_share/9 steps": 0,
    }


def test_wrong_winners_of_groups_are_all_of_the_highest_score() -> None:
    groups = [
        Group(prompt_id="a", indices=(0, 1, 2), scores=(1, 0, 1), rights=(True, False, True)),
        Group(prompt_id="b", indices=(0, 1), scores=(0.5, 0.5), rights=None),
    ]
    assert winner_metrics(groups, ROWS, STRATA) == {
        "group/best_wrong_share": 1 / 2,
        "group/best_wrong_share/2 steps": 1 / 2,
    }


def test_winners_without_a_clean_verdict_have_no_share() -> None:
    rows = [judged(0, True, prompt_id="a"), judged(1, False, prompt_id="a")]
    assert winner_metrics([pair("a", 0, 1)], rows, STRATA) == {}
    assert winner_metrics([], ROWS, STRATA) == {}
