"""Study files: what is refused, and what a grid becomes."""

from pathlib import Path
from typing import Any

import pytest

from align_cli.config.compose import compose
from align_cli.config.grid import yaml_text
from align_cli.config.values import word_of
from align_cli.errors import ConfigError
from align_cli.study.files import find_study, studies
from align_cli.study.grid import Grid, is_exact, load_grid

GOOD: dict[str, Any] = {
    "question": "Does it help?",
    "base": ["schedule.rounds=2"],
    "axes": {
        "draws": {"bo4": ["sampler=best_of_n", "sampler.n=4"], "pace": "sampler=pace"},
        "loss.beta": [0.1, 0.5],
    },
    "seeds": [0, 7],
}


def grid(tmp_path: Path, words: tuple[str, ...] = (), **changed: Any) -> Grid:
    values = {k: v for k, v in {**GOOD, **changed}.items() if v is not ...}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml_text(values))
    return load_grid(file, words)


def test_a_grid_is_every_point_at_every_seed(tmp_path: Path) -> None:
    found = grid(tmp_path)
    assert [cell.title for cell in found.cells] == [
        "draws=bo4 loss.beta=0.1 seed=0",
        "draws=bo4 loss.beta=0.1 seed=7",
        "draws=bo4 loss.beta=0.5 seed=0",
        "draws=bo4 loss.beta=0.5 seed=7",
        "draws=pace loss.beta=0.1 seed=0",
        "draws=pace loss.beta=0.1 seed=7",
        "draws=pace loss.beta=0.5 seed=0",
        "draws=pace loss.beta=0.5 seed=7",
    ]
    alone = compose(["schedule.rounds=2", "sampler=pace", "loss.beta=0.5", "seed=7"])
    assert found.cells[-1].run == alone.run_name()
    assert found.cells[-1].choices == {"draws": "pace", "loss.beta": "0.5"}
    assert found.folder == Path("outputs/mine")


def test_exclude_takes_cells_out(tmp_path: Path) -> None:
    found = grid(tmp_path, exclude=[{"draws": "pace", "loss.beta": [0.1]}], seeds=1)
    assert [cell.name for cell in found.cells] == [
        "draws=bo4 loss.beta=0.1", "draws=bo4 loss.beta=0.5", "draws=pace loss.beta=0.5"
    ]  # fmt: skip


def test_words_of_the_command_line_replace_the_base(tmp_path: Path) -> None:
    found = grid(tmp_path, ("schedule.rounds=5", "outputs=elsewhere"))
    assert found.cells[0].config.bindings["schedule"].settings["rounds"] == 5
    assert found.folder == Path("elsewhere/mine")
    with pytest.raises(ConfigError, match=r"wanted one of them"):
        grid(tmp_path, ("loss.beta=0.3",))
    with pytest.raises(ConfigError, match="--name"):
        grid(tmp_path, ("name=x",))
    with pytest.raises(ConfigError, match="seeds are in its file"):
        grid(tmp_path, ("seed=3",))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"question": ...}, "no 'question'"),
        ({"question": " "}, "wanted a sentence"),
        ({"axes": ...}, "no 'axes'"),
        ({"axes": {}}, "the grid is empty"),
        ({"axes": {"loss.beta": []}}, "the grid is empty"),
        ({"axes": {"draws": {}}}, "the grid is empty"),
        ({"axes": {"lss": ["dpo"]}}, "axes.lss: no such key (did you mean 'loss'?)"),
        ({"axes": {"seed": [1, 2]}}, "seed is no axis"),
        ({"axes": {"loss.beta": [0.1, 0.1]}}, "0.1 is there twice"),
        ({"axes": {"loss.beta": 0.1}}, "wanted a list"),
        ({"axes": {"draws": {"a b": "sampler=pace"}}}, "'a b' names cells"),
        ({"axes": {"draws": {"x": 3}}}, "wanted overrides"),
        ({"axis": {}}, "did you mean 'axes'"),
        ({"defaults": ["config"]}, "Hydra"),
        ({"seeds": []}, "seeds: got"),
        ({"seeds": [1, 1]}, "twice"),
        ({"seeds": 0}, "seeds: got"),
        ({"seeds": [True]}, "seeds: got"),
        ({"base": ["seed=1"]}, "under `seeds`"),
        ({"base": "name=x"}, "named by what they are"),
        ({"exclude": [{"drws": "pace"}]}, "did you mean 'draws'"),
        ({"exclude": [{"draws": "pce"}]}, "did you mean 'pace'"),
        ({"exclude": {"draws": "pace"}}, "wanted ["),
        ({"exclude": [{"draws": ["pace", "bo4"]}]}, "`exclude` leaves no cell"),
        ({"compare": {"against": {"draws": "bo8"}}}, "no such value"),
        ({"compare": {"against": {"draws": ["bo4", "pace"]}}}, "wanted one value"),
        ({"compare": {"cells": {"beta": 1}}}, "no such axis (did you mean 'loss.beta'?)"),
        ({"compare": {"cost": "tokens"}}, "did you mean 'generated_tokens'"),
        ({"compare": {"metric": "accuracy"}}, "eval/"),
        ({"compare": {"metrc": "x"}}, "did you mean 'metric'"),
        ({"budget": {"token": 1}}, "did you mean 'tokens'"),
        ({"budget": {"tokens": 0}}, "above 0"),
        ({"budget": {"per": {"drws": {}}}}, "did you mean 'draws'"),
    ],
    ids=str,
)
def test_a_mistake_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        grid(tmp_path, **changed)
    assert said in str(caught.value)
    assert "mine" in str(caught.value)


def test_all_cells_that_do_not_compose_are_listed_together(tmp_path: Path) -> None:
    axes = {"loss.beta": [0.1, 0.0, -1.0], "sampler": ["pace", "pase"], "schedule.rounds": [1]}
    with pytest.raises(ConfigError) as caught:
        grid(tmp_path, axes=axes, base=...)
    said = str(caught.value)
    assert "10 of 12 cells do not compose; nothing was started" in said
    assert "did you mean 'pace'" in said
    assert "loss.beta=-1.0 sampler=pace" in said
    assert "loss.beta: got 0.0" in said


def test_a_schedule_that_contradicts_itself_is_found_before_anything_runs(tmp_path: Path) -> None:
    axes = {"schedule.reference": ["previous", "ema"]}
    with pytest.raises(ConfigError, match="2 of 4 cells do not compose"):
        grid(tmp_path, axes=axes)


def test_two_cells_that_are_one_run_are_refused(tmp_path: Path) -> None:
    axes = {"loss": {"a": "loss=dpo", "b": ["loss=dpo", "loss.beta=0.1"]}}
    with pytest.raises(ConfigError, match=r"'loss=a seed=0' and 'loss=b seed=0' are the same run"):
        grid(tmp_path, axes=axes)


@pytest.mark.parametrize(
    "value",
    [0.1, 5e-7, 3, True, None, "dpo", "a b", "it's", "null", "1e5", "x,y", [1, "a"], "$x", ""],
    ids=str,
)
def test_values_survive_the_grammar(value: Any) -> None:
    from align_cli.config.words import parse_override

    assert parse_override(word_of("key", value)).value() == value


def test_studies_are_found_by_name_and_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_study("beta").parent.name == "sweeps"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "beta.yaml").write_text("question: mine")
    assert find_study("beta") == Path("sweeps/beta.yaml")
    assert find_study("sweeps/beta.yaml") == Path("sweeps/beta.yaml")
    with pytest.raises(ConfigError, match="did you mean 'n_versus_pace'"):
        find_study("n_vs_pace")
    with pytest.raises(ConfigError, match="no file"):
        find_study("gone.yaml")


NAMES = {"beta", "n_versus_pace", "losses", "online_versus_offline", "label_noise", "pairing"}


def test_studies_are_shipped() -> None:
    assert set(studies()) >= NAMES


RUNS = sorted(name for name, file in studies().items() if not is_exact(file))


@pytest.mark.parametrize("name", RUNS)
def test_a_shipped_study_composes_and_says_what_it_asks(name: str) -> None:
    found = load_grid(studies()[name])
    assert studies()[name].read_text().splitlines()[0].endswith("?")
    assert found.study.question.endswith("?")
    assert len(found.study.seeds) >= 3
    assert found.study.compare.against


def test_the_study_that_is_documented_is_one(tmp_path: Path) -> None:
    import re

    text = (Path(__file__).resolve().parents[2] / "docs" / "studies.md").read_text()
    [example] = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "it.yaml").write_text(example)
    found = load_grid(tmp_path / "it.yaml")
    assert len(found.cells) == (8 - 2) * 3
    assert found.study.budget.per["draws"].hours == 1.5
    assert found.study.compare.cells == {"draws": ("pace",)}
