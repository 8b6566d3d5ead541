import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from align_cli.demonstration.solutions import solutions
from align_cli.errors import ConfigError, RowError
from align_cli.rows import Message
from align_cli.task.jsonl import jsonl

CONF = Path(__file__).resolve().parents[2] / "conf"
DEFAULTS: dict[str, Any] = {
    "split": None,
    "config_name": None,
    "revision": None,
    "question_field": "question",
    "response_field": "answer",
    "instruction": "",
    "system": "",
    "strip_calculator": False,
    "heldout_share": 0.0,
    "limit": None,
}


def show(path: Path | str, seed: int = 0, **changes: Any):
    return solutions(seed, path=str(path), **{**DEFAULTS, **changes})


@pytest.fixture
def table(tmp_path) -> Path:
    rows = [
        {"question": f"{n}+{n}?", "answer": f"{n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}"}
        for n in range(60)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_demonstration_is_a_question_with_its_solution(table):
    shown = show(table, instruction=" Think.", system="Be brief.")
    assert len(shown) == 60
    for each in shown:
        number = int(each.source.removeprefix("train.jsonl:")) - 1
        assert each.messages == (
            Message("system", "Be brief."),
            Message("user", f"{number}+{number}? Think."),
        )
        assert each.response.endswith(f"\n#### {2 * number}")
        assert "<<" in each.response


def test_calculator_notes_can_be_taken_out(table):
    first = min(show(table, strip_calculator=True), key=lambda each: each.source)
    assert first.response == "0+0=0\n#### 0"


def test_the_seed_orders_and_the_limit_cuts(table):
    whole = show(table)
    assert show(table, limit=7) == whole[:7]
    assert show(table, seed=1) != whole
    assert sorted(each.id for each in show(table, seed=1)) == sorted(each.id for each in whole)
    with pytest.raises(ConfigError, match=r"limit is 61, .* holds 60 solutions"):
        show(table, limit=61)


def test_what_the_task_holds_out_is_not_shown(table):
    shared = {"instruction": " Think.", "system": "", "heldout_share": 0.3}
    task = {
        "heldout_path": None,
        "train_split": None,
        "heldout_split": None,
        "config_name": None,
        "revision": None,
        "question_field": "question",
        "gold_field": "answer",
        "gold_after": "####",
        "stratum_field": None,
        "prompts_per_round": 20,
        "heldout_prompts": 8,
        "overlap": "refuse",
    }
    held = jsonl("heldout", 0, 0, path=str(table), **shared, **task)
    shown = show(table, **{**shared, "instruction": " Another instruction."})
    assert not {p.source for p in held} & {each.source for each in shown}
    trained = jsonl("train", 0, 0, path=str(table), **shared, **task)
    assert {p.messages for p in trained} <= {each.messages for each in show(table, **shared)}


def test_several_solutions_of_a_question_are_kept_and_copies_are_not(tmp_path):
    path = tmp_path / "t.jsonl"
    rows = [("q", "one way"), ("q", "another"), ("q", "one way")]
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows))
    assert sorted(each.response for each in show(path)) == ["another", "one way"]


def test_a_row_without_a_solution_is_named(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"question": "q", "answer": "a"}\n{"question": "r", "answer": ""}\n')
    with pytest.raises(RowError, match=r"t\.jsonl:2: the solution in field 'answer' is empty"):
        show(path)
    with pytest.raises(RowError, match=r"t\.jsonl:1 has no field 'solution'"):
        show(path, response_field="solution")


@pytest.mark.parametrize("name", ["gsm8k", "jsonl"])
def test_a_policy_is_asked_what_it_was_taught(name):
    task, shown = (
        yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
        for group in ("task", "demonstration")
    )
    for key in ("path", "instruction", "system"):
        assert task[key] == shown[key]


def test_the_published_solutions(shared_data):
    folder = shared_data("gsm8k")
    shown = show(folder, split="train", strip_calculator=True)
    assert len(shown) == 7473
    assert all("####" in each.response and "<<" not in each.response for each in shown)
