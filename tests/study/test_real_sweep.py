"""A small study for real: two cells at two seeds, side by side, killed, and run again."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import warm
from small_runs import SMALL, contents
from test_launchers import needs

from align_cli.config.grid import read_yaml, yaml_text
from align_cli.study.grid import load_grid
from align_cli.study.works import works_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]
ROOT = Path(__file__).resolve().parents[2]
KINDS = {"1_prompts": "prompts", "4_pairs": "pairs", "4_reference": "reference",
         "5_policy": "policy", "6_scores": "scores"}  # fmt: skip


def align(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "align_cli", *words],
        cwd=place, capture_output=True, text=True, timeout=250, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    base = [w for w in SMALL if not w.startswith("schedule.rounds")] + ["schedule.rounds=1"]
    values: dict[str, Any] = {
        "question": "Is a larger beta better?", "base": base, "seeds": 2,
        "axes": {"loss.beta": [0.1, 0.5]}, "compare": {"against": {"loss.beta": 0.1}},
    }  # fmt: skip
    (folder / "small.yaml").write_text(yaml_text(values))
    return folder


def test_a_study_is_run_shared_and_not_run_again(place: Path) -> None:
    done = align(place, "sweep", "small.yaml", "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["done"], facts["failed"], facts["missing"]) == (4, 0, 0)
    assert len(facts["executed"]) == 4

    grid = load_grid(place / "small.yaml")
    foreseen: Counter[str] = Counter()
    keys = {work.key: work.place for cell in grid.cells for work in works_of(cell.config)}
    foreseen.update(KINDS[name] for name in keys.values() if name in KINDS)
    store = place / "outputs" / ".store"
    made = Counter(file.parent.parent.name for file in store.glob("*/*/record.json"))
    for kind, count in foreseen.items():
        assert made[kind] == count, kind
    # One generation a seed in two blocks, an examination of the start and of each trained one.
    assert made["completions"] == 2 * 2 + 2 + 4

    before = contents(place / "outputs")
    again = align(place, "sweep", "small.yaml", "--json")
    assert json.loads(again.stdout)["executed"] == []
    assert contents(place / "outputs") == before

    shown = align(place, "sweep", "small.yaml", "--dry-run", "--json")
    facts = json.loads(shown.stdout)
    assert facts["finished"] == 4
    assert facts["estimate"] == {"generated_tokens": 0, "flops": 0, "hours": 0}
    assert facts["spent"]["generated_tokens"] > 1000
    log = next((place / "outputs/small/logs").glob("*.log")).read_text()
    assert "sampled" in log


def test_a_cell_is_what_the_same_words_make_alone(place: Path, tmp_path: Path) -> None:
    """Runs side by side, and a run by itself in another folder: the same bytes."""
    cell = load_grid(place / "small.yaml").cells[-1]
    alone = warm.align(tmp_path, "run", *cell.words)
    assert alone.returncode == 0, alone.stderr
    mine, theirs = contents(tmp_path / "outputs"), contents(place / "outputs")
    assert mine
    assert {name: theirs.get(name) for name in mine} == mine


def stored(outputs: Path, cells: set[str]) -> dict[str, str]:
    """{place of a run: the stored stage behind it} of some runs; names are fingerprints."""
    links = [link for run in cells for link in (outputs / run).rglob("*") if link.is_symlink()]
    return {str(link.relative_to(outputs)): link.resolve().name for link in links}


@pytest.mark.parametrize(
    ("launcher", "words"),
    [
        ("submitit_local", ("sweep", "small.yaml", "--launcher", "submitit_local", "--json")),
        ("joblib", ("run", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "--json")),
        ("ray", ("sweep", "small.yaml", "--launcher", "ray", "--json")),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_every_launcher_makes_the_same_store(
    place: Path, tmp_path: Path, launcher: str, words: tuple[str, ...]
) -> None:
    needs(launcher)
    values = {**read_yaml(place / "small.yaml"), "seeds": [0]}
    (tmp_path / "small.yaml").write_text(yaml_text(values))
    grid = load_grid(tmp_path / "small.yaml")
    if words[0] == "run":
        words = (*words, *values["base"], "loss.beta=0.1,0.5", "seed=0")
    done = align(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    cells = {cell.run for cell in grid.cells}
    mine, theirs = tmp_path / "outputs", place / "outputs"
    assert stored(mine, cells) == stored(theirs, cells)
    assert len(stored(mine, cells)) > 20
    made, there = contents(mine), contents(theirs)
    assert made
    assert {name: there.get(name) for name in made} == made


def test_a_job_that_fails_elsewhere_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    """Under a launcher with processes of its own; the failure reaches the command that launched."""
    needs("joblib")
    (tmp_path / "outputs" / "taken").mkdir(parents=True)
    (tmp_path / "outputs" / "taken" / "notes.txt").write_text("")
    words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *SMALL, "name=taken,fresh")
    done = align(tmp_path, "run", "-m", *words)
    assert done.returncode == 1
    assert "exists and is no run" in done.stderr
    assert "1 of 2 jobs failed" in done.stderr
    assert (tmp_path / "outputs" / "fresh" / "metrics.jsonl").is_file()
    assert not list((tmp_path / "outputs" / ".multirun").glob("ended-*"))
