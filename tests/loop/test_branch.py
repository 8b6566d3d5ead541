"""A branch shares its run's first rounds, and goes on as that run would have."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_runs import SMALL, contents

from align_cli.config.compose import compose
from align_cli.errors import AlignError
from align_cli.loop.rounds import run
from align_cli.report.reporter import Silent
from align_cli.report.result import read_result
from align_cli.study.works import works_of

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Any:
    words = [w for w in SMALL if not w.startswith("task.prompts")]
    more = ("task.prompts_per_round=24", "schedule.replay=all", "name=parent")
    return run(compose([*words, *more, f"outputs={tmp_path_factory.mktemp('out')}"]), Silent())


def branched(parent: Path, *words: str) -> Any:
    return run(compose([f"from={parent}@1", *words]), Silent())


def test_with_the_same_settings_it_makes_what_the_run_made(parent: Any) -> None:
    """Nothing new reaches the store, so the history that replay asks for is the run's own."""
    before = contents(parent.folder.parent)
    same = branched(parent.folder)
    assert same.folder != parent.folder
    assert contents(parent.folder.parent) == before
    for place in ("round_00/5_policy", "round_01/4_pairs", "round_01/5_policy"):
        assert (same.folder / place).resolve() == (parent.folder / place).resolve()
    mine, theirs = same.rounds[0], parent.rounds[0]
    assert list(mine) == list(theirs)
    for place, lines in theirs.items():
        kept = {key: value for key, value in lines.items() if not key.startswith("time/")}
        assert {k: v for k, v in mine[place].items() if not k.startswith("time/")} == kept
        assert mine[place]["time/shared"] == 1.0
    steps = [json.loads(line) for line in (same.folder / "metrics.jsonl").open()]
    assert any(line["round"] == 0 and line["step"] == 0 for line in steps)


def test_with_another_loss_it_differs_from_there_on(parent: Any) -> None:
    other = branched(parent.folder, "loss=ipo", "loss.beta=0.7")
    for place in ("round_00/5_policy", "round_01/2_completions/pass_0", "round_01/4_pairs"):
        assert (other.folder / place).resolve() == (parent.folder / place).resolve()
    last = "round_01/5_policy"
    assert (other.folder / last).resolve() != (parent.folder / last).resolve()
    assert other.complete
    again = branched(parent.folder, "loss=ipo", "loss.beta=0.7")
    assert again.folder == other.folder
    assert "loss._target_: " not in (other.folder / "config.yaml").read_text()
    assert f"run: {parent.folder.name}" in (other.folder / "config.yaml").read_text()
    config = compose([f"from={parent.folder}@1", "loss=ipo"])
    assert {work.round_number for work in works_of(config)} == {None, 1}


def test_a_stage_that_is_gone_is_named(parent: Any) -> None:
    record = (parent.folder / "round_00/4_pairs").resolve() / "record.json"
    aside = record.with_name("aside")
    record.rename(aside)
    with pytest.raises(AlignError, match=r"is gone, which .*4_pairs is made of"):
        branched(parent.folder, "loss=ipo", "loss.beta=0.9")
    aside.rename(record)
    assert read_result(parent.folder).complete
