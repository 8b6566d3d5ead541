"""The same study under every launcher; each test runs where the launcher's extra is installed."""

import os
from pathlib import Path

import pytest
from fake_cells import Witness, a_study, carried_out, executed, fakes
from fake_process import fake
from test_sweep import orders, runs

from align_cli.config.launchers import EXTRAS, launcher_of, split_launcher_words
from align_cli.config.source import find_spec
from align_cli.errors import ConfigError
from align_cli.study.launchers import at_once, open_launcher

__all__ = ["fakes"]


def needs(launcher: str) -> None:
    extra, module = EXTRAS[launcher]
    if find_spec(module) is None:
        pytest.skip(f"hydra/launcher={launcher} is not installed; the extra [{extra}] brings it")


@pytest.mark.parametrize("name", ["joblib", "submitit_local", "ray"])
def test_cells_under_a_launcher_fail_apart_and_run_again(
    name: str, fakes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(name)
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", f"{here}{os.pathsep}{here.parents[1]}")
    grid = a_study(fakes, {"loss.beta": [0.1, 0.2, 0.3]})
    well, badly, killed = runs(grid)
    orders(fakes, {badly: "fail", killed: "die"})
    words = [f"hydra/launcher={name}", *(["hydra.launcher.n_jobs=2"] if name == "joblib" else [])]
    witness = Witness()
    launcher = open_launcher(words, fake, grid.folder)
    outcome = carried_out(grid, witness, launcher=launcher, jobs=3)
    assert [each.state for each in outcome.states] == ["done", "failed", "failed"]
    causes = {title: cause for title, cause, _, _ in witness.failures}
    assert causes[grid.cells[1].title] == "NothingToTrain: no pair in round 0"
    assert causes[grid.cells[2].title].startswith("killed by SIGKILL; last it wrote: beginning")
    assert sorted(executed(fakes)) == sorted(runs(grid))
    orders(fakes, {})
    again = open_launcher(words, fake, grid.folder)
    assert carried_out(grid, launcher=again, jobs=3).count("done") == 3
    assert sorted(executed(fakes)) == sorted([badly, killed])
    assert well not in executed(fakes)


def test_a_launcher_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("align_cli.config.launchers.find_spec", lambda module: None)
    for name, (extra, _) in EXTRAS.items():
        with pytest.raises(ConfigError, match=rf"pip install 'align-cli\[{extra}\]'"):
            launcher_of([f"hydra/launcher={name}"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra/launcher=slrum"], "no such launcher"),
        (["hydra.launcher.partition=gpu"], "basic has no settings"),
        (["hydra/launcher=basic", "hydra/launcher=basic"], "wanted one of them"),
        (["hydra/launcher=joblib,ray"], "no such launcher"),
        (["hydra/launcher=joblib", "hydra.launcher.jobs=2"], "jobs"),
    ],
    ids=str,
)
def test_a_mistake_in_a_launcher_s_words_is_refused(words: list[str], said: str) -> None:
    if "hydra/launcher=joblib" in words:
        needs("joblib")
    with pytest.raises(ConfigError, match=said):
        launcher_of(words)


def test_words_of_the_launcher_are_not_words_of_the_cells() -> None:
    words = ["loss=ipo", "hydra/launcher=basic", "hydra.launcher.x=1", "seed=2"]
    assert split_launcher_words(words) == (words[1:3], ["loss=ipo", "seed=2"])
    assert at_once([], None, cells=9) == 1
    assert at_once([], 4, cells=9) == 4
