"""Filters in a run: what they drop is counted by reason, and nothing else goes missing."""

import json
from pathlib import Path

import pytest
from small_runs import TOYS, run_small

from align_cli.config.compose import compose
from align_cli.errors import ConfigError, NothingToTrain

ONE_ROUND = ("schedule.rounds=1", "task.prompts_per_round=24", "pairing=all_right_wrong")


def test_pairs_made_are_pairs_kept_and_dropped(tmp_path: Path) -> None:
    words = ("filter=misranked", "filter.max_length_ratio=1.2", "filter.drop_duplicates=text")
    stage = run_small(tmp_path, *ONE_ROUND, *words).rounds[0]["4_pairs"]
    dropped = {k: v for k, v in stage.items() if k.startswith("pair/filtered/")}
    assert dropped["pair/filtered/difficulty"] > 0
    assert stage["pair/made"] == stage["pair/count"] + sum(dropped.values())
    assert stage["pair/none/filtered"] > 0
    none = sum(v for k, v in stage.items() if k.startswith("pair/none/"))
    (file,) = tmp_path.rglob(".store/pairs/*/record.json")
    record = json.loads(file.read_text())
    assert record["rows_in"] == 24 == record["rows_out"] + none
    assert sum(record["dropped"].values()) == none
    shares = {k: v for k, v in stage.items() if k.startswith("pair/trivial/")}
    assert len(shares) == 5
    assert all(0 <= share <= 1 for share in shares.values())


def test_a_round_whose_pairs_are_all_dropped_says_so(tmp_path: Path) -> None:
    with pytest.raises(NothingToTrain, match=r"filtered \d+.*loosen the filter"):
        run_small(tmp_path, *ONE_ROUND, "filter=chain", "filter.min_difficulty=9000.0")


def test_a_tie_trains_when_asked_for_by_name(tmp_path: Path) -> None:
    words = (*ONE_ROUND[:2], "pairing=best_worst", "pairing.ties=random")
    stage = run_small(tmp_path, *words).rounds[0]["4_pairs"]
    assert 0 < stage["pair/tied"] < stage["pair/count"] == 24


def test_a_filter_of_pairs_is_refused_beside_groups() -> None:
    words = [*TOYS, "loss=squares", "pairing=siblings"]
    assert compose(words).choices["filter"] == "none"
    with pytest.raises(ConfigError, match=r"filter=clean drops pairs.*supplies groups"):
        compose([*words, "filter=clean"])
