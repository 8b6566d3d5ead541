"""A run on given answers: read, scored, judged and paired like sampled ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_runs import run_small

from align_cli.errors import RowError
from align_cli.rows import Decoding, Draw, Message


def words(folder: Path, *more: str) -> tuple[str, ...]:
    rows = [
        {"question": f"{a}+{b}", "answer": str(a + b), "good": f"{a}+{b}={a + b}#{a + b}",
         "bad": f"{a}+{b}={a + b + 1}#{a + b + 1}"}
        for a in range(10, 16) for b in range(4, 10)
    ]  # fmt: skip
    file = folder / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return (
        "task=jsonl", f"task.path={file}", "task.prompts_per_round=12", "task.heldout_prompts=2",
        "schedule.rounds=1", "name=run", "sampler=offline", f"sampler.path={file}",
        "sampler.answer_fields=[bad,good]", *more,
    )  # fmt: skip


def table(folder: Path) -> list[Any]:
    return [
        row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()
    ]


def test_given_answers_are_trained_on(tmp_path: Path) -> None:
    run_small(tmp_path, *words(tmp_path))
    place = tmp_path / "run" / "round_00"
    rows = table(place / "2_completions" / "pass_0")
    assert len(rows) == 24
    assert {row["author"] for row in rows} == {"recorded"}
    assert all(len(row["logps"]) == len(row["token_ids"]) for row in rows)
    # The bundled policy adds well: a right sum is likelier to it than a wrong one.
    logps = [[sum(r["logps"]) for r in rows if r["index"] == index] for index in (0, 1)]
    assert sum(logps[1]) > sum(logps[0])
    pairs = table(place / "4_pairs")
    assert [(pair["chosen"], pair["rejected"]) for pair in pairs] == [(1, 0)] * 12
    lines = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    [drawn] = [x["metrics"] for x in lines if x["round"] == 0 and "2_completions" in x["stage"]]
    assert drawn["sample/by_recorded"] == 24
    assert drawn["cost/generated_tokens"] == 0
    assert "sample/entropy_nats_per_token" not in drawn


def test_an_answer_that_does_not_fit_is_not_cut(tmp_path: Path) -> None:
    with pytest.raises(RowError, match="tokens where 5 are allowed"):
        run_small(tmp_path, *words(tmp_path, "sampler.max_new_tokens=5"))


def test_what_a_sampled_draw_is_told_as_does_not_speak_of_recorded_ones() -> None:
    """Stages that were sampled before there were recorded answers are found again."""
    from align_cli.loop.generation import _told

    plain = Draw(
        prompt_id="a",
        index=0,
        messages=(Message("user", "1+2"),),
        decoding=Decoding(max_new_tokens=4),
    )
    assert "given" not in _told(plain)
    assert _told(replace(plain, author="recorded", given="3"))["given"] == "3"
