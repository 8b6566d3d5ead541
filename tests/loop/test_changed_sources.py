"""A run that goes on over changed source files makes again what depended on them, and says so."""

import json
import shutil

import pytest
from small_runs import words_of

from align_cli.config.compose import compose
from align_cli.loop.rounds import run
from align_cli.loop.sources import stamp
from align_cli.report.reporter import Silent

pytestmark = pytest.mark.e2e


class Heard(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_other_questions_in_the_same_file(tmp_path):
    file = tmp_path / "q.jsonl"
    words = words_of(
        tmp_path / "out",
        ("name=a", "task=jsonl", f"task.path={file}", "task.heldout_share=0.3",
         "task.prompts_per_round=20", "task.heldout_prompts=8", "schedule.rounds=1"),
    )  # fmt: skip
    accuracies = []
    for offset in (0, 7):
        rows = [(a, b, c + offset) for a in range(9, 15) for b in range(3, 6) for c in range(1, 5)]
        lines = [{"question": f"{a}+{b}+{c}", "answer": str(a + b + c)} for a, b, c in rows]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        heard = Heard()
        result = run(compose(words), heard)
        accuracies.append(result.start["6_scores"]["eval/sampled_accuracy"])
        said = any("round_00/1_prompts is made again" in line for line in heard.lines)
        assert said == (offset > 0)
        lines = (tmp_path / "out" / "a" / "metrics.jsonl").read_text().splitlines()
        keys = [tuple(json.loads(line)[k] for k in ("round", "stage", "step")) for line in lines]
        assert len(keys) == len(set(keys))
    assert accuracies[0] != accuracies[1]


def test_stamps_see_files_and_folders_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    settings = {"path": str(tmp_path), "file": str(tmp_path / "a.txt"), "n": 3, "none": None,
                "word": "linear", "long": "x" * 5000}  # fmt: skip
    before = stamp(settings)
    assert [(entry[0], entry[1]) for entry in before] == [("file", "a.txt"), ("path", "a.txt")]
    (tmp_path / "a.txt").write_text("xy")
    assert stamp(settings) != before
    assert stamp({"path": "package:tiny"})
    shutil.rmtree(tmp_path)
    assert stamp(settings) == []
