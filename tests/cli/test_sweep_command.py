"""`align sweep` as a command: what it prints, and what it exits with."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from align_cli.cli.app import app
from align_cli.config.grid import read_yaml
from align_cli.study.grid import load_grid
from align_cli.study.states import StudyFolder
from align_cli.study.sweep import Outcome

STUDY = """
question: Is it?
axes: {loss.beta: [0.1, 0.2]}
seeds: 2
compare: {against: {loss.beta: 0.1}}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(STUDY)
    return tmp_path


def invoke(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["sweep", *words])
    return done.exit_code, done.stdout, done.stderr


def test_a_dry_run_writes_nothing(place: Path) -> None:
    code, out, _ = invoke("mine.yaml", "--dry-run", "--json")
    facts = json.loads(out)
    assert code == 0
    assert [cell["seed"] for cell in facts["cells"]] == [0, 1, 0, 1]
    # Four rounds of four draws are two blocks of siblings each.
    assert facts["stages"]["2_completions"] == {"needed": 32, "distinct": 28}
    assert facts["comparison"]["pairs"] == [{"cell": "loss.beta=0.2", "against": "loss.beta=0.1"}]
    assert facts["comparison"]["detectable_effect"]["best"] < 0.1
    assert facts["estimate"]["hours"] is None
    code, out, _ = invoke("mine.yaml", "--dry-run", "schedule.rounds=1")
    assert "shared: 8 2_completions, made 4 times" in out
    assert sorted(each.name for each in place.iterdir()) == ["mine.yaml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mine"], "no study 'mine'"),
        (["gone.yaml"], "no file gone.yaml"),
        (["mine.yaml", "lss=dpo"], "did you mean 'loss'"),
        (["mine.yaml", "loss.beta=0.3"], "wanted one of them"),
        (["mine.yaml", "--jobz", "2"], "No such option"),
        (["mine.yaml", "--jobs", "0"], "jobs"),
        (["mine.yaml", "--config-dir", "gone"], "there is no folder gone"),
    ],
    ids=str,
)
def test_a_mistake_ends_in_2(words: list[str], said: str, place: Path) -> None:
    code, _, error = invoke(*words)
    assert code == 2
    assert said in error
    assert sorted(each.name for each in place.iterdir()) == ["mine.yaml"]


@pytest.mark.parametrize(("state", "code"), [("done", 0), ("failed", 1), ("missing", 1)])
def test_the_exit_code_says_whether_every_cell_is_done(
    monkeypatch: pytest.MonkeyPatch, state: str, code: int
) -> None:
    def carried_out(grid, options, watcher, estimate):  # type: ignore[no-untyped-def]
        with StudyFolder.opened(grid, watcher.say) as folder:
            states = list(folder.cells.values())
        for each in states:
            each.state = "done"
        states[-1].state, states[-1].error = state, "no pair"  # type: ignore[assignment]
        return Outcome(states, ["x"], None)

    monkeypatch.setattr("align_cli.study.sweep.sweep", carried_out)
    found, out, _ = invoke("mine.yaml")
    assert found == code
    assert ("loss.beta=0.2 seed=1: no pair" in out) == (code == 1)
    assert json.loads(invoke("mine.yaml", "--json")[1])[state] >= 1


def test_each_cell_is_tracked_in_the_group_of_the_study(place: Path) -> None:
    for words, wanted in (((), "mine"), (("tracker.group=ours",), "ours")):
        grid = load_grid(place / "mine.yaml", words)
        with StudyFolder.opened(grid, lambda line: None) as folder:
            for cell in grid.cells:
                frozen = read_yaml(folder.config_file(cell))
                assert frozen["tracker"]["group"] == wanted
    grid = load_grid(place / "mine.yaml", ["tracker=none"])
    with StudyFolder.opened(grid, lambda line: None) as folder:
        assert "group" not in read_yaml(folder.config_file(grid.cells[0]))["tracker"]
    from align_cli.config.reopened import reopen

    reopened = reopen(folder.config_file(grid.cells[0]))
    assert reopened.run_name() == grid.cells[0].run
