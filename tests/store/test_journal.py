"""metrics.jsonl: every key once, torn lines dropped, steps forgotten on request."""

import json

from align_cli.store.journal import Journal


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_key_is_written_once_also_after_a_restart(tmp_path):
    file = tmp_path / "metrics.jsonl"
    for value in (1.0, 2.0):
        journal = Journal(file)
        journal.append({"a": value}, round_number=0, stage="4_pairs")
        journal.append({"a": value}, round_number=0, stage="5_policy", step=0)
    assert [entry["metrics"] for entry in lines(file)] == [{"a": 1.0}, {"a": 1.0}]


def test_round_none_and_round_zero_are_two(tmp_path):
    journal = Journal(tmp_path / "m.jsonl")
    journal.append({"a": 1.0}, round_number=None, stage="6_scores")
    journal.append({"a": 2.0}, round_number=0, stage="6_scores")
    assert len(lines(tmp_path / "m.jsonl")) == 2


def test_half_a_line_is_dropped_and_written_again(tmp_path):
    file = tmp_path / "m.jsonl"
    journal = Journal(file)
    for step in range(3):
        journal.append({"a": step}, round_number=0, stage="5_policy", step=step)
    file.write_text(file.read_text()[:-10])
    Journal(file).append({"a": 7}, round_number=0, stage="5_policy", step=2)
    assert [entry["metrics"]["a"] for entry in lines(file)] == [0, 1, 7]


def test_steps_after_the_checkpoint_are_forgotten(tmp_path):
    file = tmp_path / "m.jsonl"
    journal = Journal(file)
    for number in (0, 1):
        for step in range(4):
            journal.append({"a": step}, round_number=number, stage="5_policy", step=step)
    journal.append({"a": 9}, round_number=1, stage="5_policy")
    journal.forget_steps(1, "5_policy", after=1)
    left = [(entry["round"], entry["step"]) for entry in lines(file)]
    assert left == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, None)]


def test_the_mirror_hears_only_what_is_new(tmp_path):
    heard = []
    for _ in range(2):
        journal = Journal(tmp_path / "m.jsonl", mirror=lambda *line: heard.append(line))
        journal.append({"a": 1.0}, round_number=0, stage="4_pairs")
    assert heard == [({"a": 1.0}, 0, None)]


def test_a_stage_can_be_forgotten(tmp_path):
    journal = Journal(tmp_path / "m.jsonl")
    for number in (0, 1):
        journal.append({"a": 1.0}, round_number=number, stage="5_policy", step=0)
        journal.append({"a": 2.0}, round_number=number, stage="5_policy")
        journal.append({"a": 3.0}, round_number=number, stage="6_scores")
    journal.forget(1, "5_policy")
    left = [(entry["round"], entry["stage"]) for entry in lines(tmp_path / "m.jsonl")]
    assert left == [(0, "5_policy"), (0, "5_policy"), (0, "6_scores"), (1, "6_scores")]
