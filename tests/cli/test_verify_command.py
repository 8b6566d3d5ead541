"""`align verify`: what it prints, what it writes, what it exits with."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from align_cli.cli import app

runner = CliRunner()
TOYS = Path(__file__).parents[1] / "toy_conf"
REGEX = ["verifier=regex", r"verifier.pattern='(a|aa)+$'", "verifier.compare=text"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Twelve wrong answers that end in the gold, one right one, one unknown."""
    wrong = [{"question": f"{n}+1", "gold": "7", "text": "so #7", "right": False}
             for n in range(12)]  # fmt: skip
    rest = [{"question": "3+4", "gold": "7", "text": "#7", "right": True},
            {"question": "3+4", "gold": "7", "text": "#8", "right": None}]  # fmt: skip
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in wrong + rest))
    return str(path)


def test_agreement_confusion_and_disagreements_are_shown(file, tmp_path):
    out = tmp_path / "judged.jsonl"
    done = runner.invoke(app, ["verify", file, "verifier=exact", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    assert "13 questions, 14 answers" in done.stdout
    assert "agreement 7.69% of the judged" in done.stdout
    assert "12 disagreements; the first 10" in done.stdout
    assert done.stdout.count("\nanswers.jsonl:") == 10
    assert "answers a minute" in done.stdout
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 14
    assert lines[12]["right"] is lines[12]["known"] is True


def test_json_holds_every_disagreement(file):
    done = runner.invoke(app, ["verify", file, "verifier=exact", "--json"])
    facts = json.loads(done.stdout)
    assert len(facts["disagreements"]) == 12
    assert facts["confusion"] == {
        "right": {"right": 1}, "wrong": {"right": 12}, "unknown": {"wrong": 1}
    }  # fmt: skip
    assert facts["false_positive_rate"] == 1.0


def test_a_model_that_grades_siblings_is_told_its_device(file):
    words = [f"--config-dir={TOYS}", "plugins=[toy_verifiers]", "verifier=placed", "device=cpu"]
    done = runner.invoke(app, ["verify", file, *words])
    assert done.exit_code == 0, done.stderr
    assert "I judge on cpu" in done.stderr
    assert "graded" in done.stdout
    assert "agreement" not in done.stdout


def test_too_little_agreement_is_a_failure(file):
    done = runner.invoke(app, ["verify", file, "verifier=exact", "--least", "0.99"])
    assert done.exit_code == 1
    assert "agreement is 7.69%, --least wants 99.00%" in done.stderr


def test_what_hangs_is_killed_counted_and_above_the_limit_a_failure(tmp_path, children):
    rows = [{"question": str(n), "gold": "a", "text": text, "right": True}
            for n, text in enumerate(["a", "a" * 60 + "b", "a"])]  # fmt: skip
    file = tmp_path / "hanging.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    words = ["verify", str(file), *REGEX, "verifier.timeout_seconds=1"]
    done = runner.invoke(app, words)
    assert done.exit_code == 1
    assert "unscored: timeout" in done.stdout
    assert "1 of 3 answers went unjudged (timeout 1)" in done.stderr
    assert runner.invoke(app, [*words, "verifier.max_unscored=0.5"]).exit_code == 0
    assert not children(os.getpid())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["loss=dpo"], "'loss=dpo' is no word of a verifier"),
        (["verifier=exakt"], "'exact'"),
        (["verifier.markr=x"], "'marker'"),
        (["--gold-after", "A:"], "has no 'A:'"),
    ],
)
def test_mistakes_are_said(file, words, message):
    done = runner.invoke(app, ["verify", file, *words])
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_real_solutions_read_whole(shared_data, children):
    """The 1,600 labelled GSM8K solutions: agreement of 99.9 % or more, no process left."""
    file = shared_data("gsm8k_solutions/solutions.jsonl")
    words = ["verifier=math", "verifier.answer_marker=A:", "verifier.timeout_seconds=60"]
    done = runner.invoke(app, ["verify", str(file), *words, "--least", "0.999", "--json"])
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["answers"] == 1600
    assert sum(facts["confusion"]["right"].values()) == 615
    assert facts["unscored"] == {}
    assert not children(os.getpid())
