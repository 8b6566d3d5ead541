"""A verifier that asks for siblings sees all answers to a prompt, however they were drawn."""

from collections import defaultdict
from pathlib import Path

import pytest
from small_runs import TOYS, run_small

from align_cli.config.compose import compose
from align_cli.errors import ConfigError
from align_cli.report.show import prompt_facts
from align_cli.rows import Completion, Label, Score
from align_cli.store.tables import read_rows

pytestmark = pytest.mark.e2e
WORDS = (TOYS[0], "plugins=[toy_verifiers]", "verifier=ranked", "evaluation.verifier=exact",
         "schedule.rounds=1", "engine.shard_draws=7", "task.prompts_per_round=24")  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("outputs")


def rows(folder: Path, place: str, row_type: type, name: str) -> dict[str, list]:
    """{pass or block: its rows}"""
    found = defaultdict(list)
    for file in sorted((folder / "round_00" / place).glob(f"*/{name}-*.parquet")):
        found[file.parent.name] += read_rows(file, row_type)
    return found


def test_blocks_and_shards_cut_no_siblings_apart(outputs):
    result = run_small(outputs, *WORDS, "sampler.n=4")
    drawn = rows(result.folder, "2_completions", Completion, "completions")
    labels = rows(result.folder, "3_labels", Label, "labels")
    assert set(drawn) == {"pass_0", "pass_0_from_2"}
    assert set(labels) == {"pass_0"}
    assert len(labels["pass_0"]) == 24 * 4
    assert {label.detail for label in labels["pass_0"]} == {"0,1,2,3"}
    shards = sorted((result.folder / "round_00/3_labels/pass_0").glob("*.parquet"))
    assert [len(read_rows(file, Label)) for file in shards] == [8] * 12
    # The rule pairs the right with the wrong by these labels, and the exam is another judge's.
    assert result.rounds[0]["4_pairs"]["pair/count"] > 0
    assert 0 < result.rounds[0]["6_scores"]["eval/sampled_accuracy"] < 1


def test_an_answer_that_gets_a_sibling_is_judged_again(outputs):
    result = run_small(outputs, *WORDS, "sampler=pace")
    labels = rows(result.folder, "3_labels", Label, "labels")
    assert set(labels) == {"pass_0", "pass_1"}
    assert {label.detail for label in labels["pass_0"]} == {"0,1"}
    assert {label.detail for label in labels["pass_1"]} == {"0,1,2"}
    again = {label.prompt_id for label in labels["pass_1"]}
    assert 0 < len(again) < 24
    assert result.rounds[0]["3_labels"]["label/count"] == 48 + len(again)
    shown = prompt_facts(result.folder, 0, min(again))["completions"]
    assert [row["label"]["detail"] for row in shown] == ["0,1,2"] * 3


def test_labels_of_siblings_are_shared_with_a_run_of_the_same_draws_only(outputs):
    first = run_small(outputs, *WORDS, "sampler.n=4")
    other = run_small(outputs, *WORDS, "sampler.n=4", "loss=ipo")
    smaller = run_small(outputs, *WORDS, "sampler.n=2")
    place = "round_00/3_labels/pass_0"
    assert (first.folder / place).resolve() == (other.folder / place).resolve()
    assert (first.folder / place).resolve() != (smaller.folder / place).resolve()


def test_a_grader_is_reported_by_its_mean_score_and_never_as_an_accuracy(outputs):
    words = (*WORDS, "verifier=brief", "evaluation.verifier=null", "pairing=best_worst")
    result = run_small(outputs, *words)
    metrics = result.rounds[0]["6_scores"]
    assert metrics["eval/sampled_score"] < -5
    assert metrics["eval/greedy_score"] < -5
    assert not [name for name in metrics if "accuracy" in name or "pass_at" in name]
    assert not [name for name in metrics if "maj_at" in name]
    folder = result.folder / "round_00/6_scores/scores"
    scores = [row for file in folder.glob("*.parquet") for row in read_rows(file, Score)]
    assert {row.right for row in scores} == {None}
    assert {row.samples for row in scores} == {2}


def test_who_examines_is_kept_with_the_run(outputs):
    config = compose([*WORDS, f"outputs={outputs}"])
    assert config.examiner().target == "align_cli.verifier.exact.exact"
    assert config.identity()["evaluation.verifier.marker"] == "#"
    assert compose([]).examiner() == compose([]).bindings["verifier"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluation.verifier=null"], "scores an answer against its siblings"),
        (["evaluation.verifier=exakt"], "exact"),
        (["verifier=undecided"], "exactly one of completions"),
    ],
)
def test_what_cannot_judge_is_refused_before_anything_is_drawn(words, message):
    kept = [word for word in WORDS if word.split("=")[0] not in {w.split("=")[0] for w in words}]
    with pytest.raises(ConfigError, match=message):
        compose([*kept, *words])
