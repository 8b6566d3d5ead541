"""Shipped studies at a size of seconds: swept and compared, from their own files."""

import json
from pathlib import Path
from typing import Any

import pytest
import warm
from small_runs import SMALL

from align_cli.config.grid import read_yaml, yaml_text
from align_cli.study.files import studies

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]
TINY = (*SMALL, "schedule.rounds=1", "task.prompts_per_round=24", "task.heldout_prompts=16")


def cut(name: str, place: Path, axes: dict[str, list[str]], against: dict[str, str]) -> None:
    """The study with these values of its axes, one seed and runs of seconds."""
    values: dict[str, Any] = read_yaml(studies()[name])
    kept: dict[str, Any] = {}
    for axis, points in values["axes"].items():
        wanted = axes.get(axis)
        if isinstance(points, dict):
            kept[axis] = {k: v for k, v in points.items() if wanted is None or k in wanted}
        else:
            kept[axis] = [p for p in points if wanted is None or str(p) in wanted]
        assert kept[axis], axis
    sizes = {word.split("=")[0]: word for word in TINY}
    base = {word.split("=")[0]: word for word in values.get("base", [])}
    values |= {"axes": kept, "seeds": 1, "base": list({**base, **sizes}.values())}
    values["compare"] = {**values["compare"], "against": against}
    (place / f"{name}.yaml").write_text(yaml_text(values))


@pytest.mark.parametrize(
    ("name", "axes", "against"),
    [
        ("n_versus_pace", {"draws": ["bo2", "pace"], "verifier": ["clean"]}, {"draws": "bo2"}),
        (
            "label_noise",
            {"flips": ["f30"], "loss": ["dpo", "cdpo"], "draws": ["bo8"]},
            {"loss": "dpo"},
        ),
    ],
    ids=str,
)
def test_a_study_runs_and_its_question_is_answered(
    tmp_path: Path, name: str, axes: dict[str, list[str]], against: dict[str, str]
) -> None:
    cut(name, tmp_path, axes, against)
    words = ("sweep", f"{name}.yaml", "--jobs", "2", "--json")
    swept = warm.align(tmp_path, *words, cells_too=True)
    assert swept.returncode == 0, swept.stderr
    assert json.loads(swept.stdout)["done"] == 2
    compared = warm.align(tmp_path, "compare", name, COLUMNS="120")
    assert compared.returncode == 0, compared.stderr
    # One seed cannot carry a claim about seeds, and the report says so.
    assert "seed" in compared.stdout
    folder = tmp_path / "outputs" / name
    claims = json.loads((folder / "claims.json").read_text())
    assert claims["question"] == read_yaml(studies()[name])["question"]
    assert "<html" in (folder / "report.html").read_text()
    assert (folder / "curves.csv").read_text().count("\n") == 1 + 2 * 2
