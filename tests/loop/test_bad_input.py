"""What can be wrong with what a run is given: said clearly, nothing lost."""

import json

import pytest
from small_runs import run_small, words_of

from align_cli.errors import (
    AlignError,
    ConfigError,
    CorruptStage,
    NonFinite,
    NothingToTrain,
    RowError,
    StaleRun,
    Unscored,
)

pytestmark = pytest.mark.e2e
QUESTIONS = [
    {"question": f"{a}+{b}-{c}", "answer": str(a + b - c)}
    for a in range(6, 14) for b in range(3, 6) for c in range(2, 5)
]  # fmt: skip
JSONL = (
    "task=jsonl", "task.prompts_per_round=24", "task.heldout_prompts=8", "task.heldout_share=0.3",
    "schedule.rounds=1",
)  # fmt: skip


def jsonl(tmp_path, rows, text=None):
    file = tmp_path / "questions.jsonl"
    file.write_text(text if text is not None else "".join(json.dumps(r) + "\n" for r in rows))
    return (*JSONL, f"task.path={file}", "task.gold_field=answer", "task.gold_after=null")


def run_on(tmp_path, words):
    given = [word for word in words if not word.startswith(("task.prompts", "task.heldout_p"))]
    given += [word for word in words if word.startswith(("task.prompts", "task.heldout_p"))]
    return run_small(tmp_path / "out", *given)


def test_a_users_questions_run(tmp_path):
    result = run_on(tmp_path, jsonl(tmp_path, QUESTIONS))
    assert result.rounds[0]["1_prompts"]["prompt/count"] == 24
    assert result.complete


def test_a_malformed_line_is_named_by_number(tmp_path):
    text = json.dumps(QUESTIONS[0]) + "\n{broken\n"
    with pytest.raises(RowError, match=r"questions\.jsonl:2"):
        run_on(tmp_path, jsonl(tmp_path, [], text))


def test_an_empty_file_is_said(tmp_path):
    with pytest.raises(RowError, match=r"questions\.jsonl"):
        run_on(tmp_path, jsonl(tmp_path, [], ""))


def test_missing_golds_are_unscored_counted_and_stop_above_the_limit(tmp_path):
    rows = [{**row, "answer": None} if n % 3 == 0 else row for n, row in enumerate(QUESTIONS)]
    words = jsonl(tmp_path, rows)
    with pytest.raises(Unscored, match=r"no_gold \d+.*verifier.max_unscored"):
        run_on(tmp_path, words)
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("completions-*.parquet")}
    assert kept
    result = run_on(tmp_path, (*words, "verifier.max_unscored=1"))
    assert kept == {file: file.stat().st_mtime_ns for file in kept}
    labels, pairs = result.rounds[0]["3_labels"], result.rounds[0]["4_pairs"]
    assert labels["label/unscored/no_gold"] % 4 == 0
    assert labels["label/unscored/no_gold"] + labels["label/judged"] == labels["label/count"]
    assert pairs["pair/none/unscored"] == labels["label/unscored/no_gold"] / 4


def test_a_prompt_longer_than_the_window_is_named(tmp_path):
    rows = [*QUESTIONS, *({"question": f"{n}+" * 300 + "1", "answer": "1"} for n in range(40))]
    with pytest.raises(AlignError, match=r"window"):
        run_on(tmp_path, jsonl(tmp_path, rows))


def test_an_unwritable_place_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AlignError, match="cannot be written"):
        run_small(tmp_path / "file" / "out")


def test_a_damaged_shard_is_named_and_can_be_made_again(tmp_path):
    words = ("schedule.rounds=1", "name=a")
    run_small(tmp_path, *words)
    drawn = tmp_path / "a" / "round_00" / "2_completions" / "pass_0"
    shard = drawn / "completions-00000.parquet"
    good = shard.read_bytes()
    shard.write_bytes(good[: len(good) // 2])
    with pytest.raises(CorruptStage, match=r"completions-00000\.parquet.*delete"):
        run_small(tmp_path, *words)
    for file in sorted(shard.resolve().parent.iterdir()):
        file.unlink()
    run_small(tmp_path, *words)
    assert shard.read_bytes() == good


def test_a_folder_of_other_settings_names_the_keys(tmp_path):
    run_small(tmp_path, "schedule.rounds=1", "name=a")
    with pytest.raises(StaleRun, match=r"loss\.beta: folder has .*, asked for 0\.77"):
        run_small(tmp_path, "schedule.rounds=1", "name=a", "loss.beta=0.77")


@pytest.mark.parametrize("text", ["{q}", "nonsense"])
def test_all_right_or_all_wrong_is_nothing_to_train_with_the_yield(tmp_path, text):
    # Golds that nothing can match make every prompt all wrong.
    rows = [{**row, "answer": text} for row in QUESTIONS]
    with pytest.raises(NothingToTrain, match=r"none of 24 prompts gave a pair \(all_wrong 24\)"):
        run_on(tmp_path, jsonl(tmp_path, rows))


def test_a_loss_that_is_not_finite_names_round_step_and_prompts(tmp_path):
    words = ("loss=squaredpo", "loss.exponent_clip=null", "schedule.learning_rate=5.0",
             "schedule.clip_norm=null", "schedule.rounds=1")  # fmt: skip
    with pytest.raises(NonFinite, match=r"round 0, step \d+"):
        run_small(tmp_path, *words)


def test_values_that_only_a_call_refuses_leave_no_folder(tmp_path):
    from align_cli.config.compose import compose
    from align_cli.loop.rounds import run
    from align_cli.report.reporter import Silent

    words = words_of(tmp_path / "out", ("schedule.batch_size=6", "schedule.micro_batch_size=4"))
    with pytest.raises(ConfigError, match="multiple"):
        run(compose(words), Silent())
    assert not (tmp_path / "out").exists()
