"""A study that the lab computes: cells once, in the store; its page, its claims, its refusals."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from align_cli.cli.app import app
from align_cli.lab.reading import Reading, Table
from align_cli.study.exact.file import load_exact
from align_cli.study.exact.terminal import print_reading
from align_cli.study.files import studies
from align_cli.study.grid import is_exact

SMALL = ("pairs=[400]", "rounds=1", "seeds=2", "rare_mass=[0.1]")
EXACT = sorted(name for name, file in studies().items() if is_exact(file))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["sweep", *words])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("name", EXACT)
def test_a_shipped_study_binds_and_lays_out_its_cells(name: str) -> None:
    study = load_exact(studies()[name])
    assert studies()[name].read_text().splitlines()[0].endswith("?")
    assert study.question.endswith("?")
    cells = study.experiment().cells
    assert len({cell.name for cell in cells}) == len(cells) > 0
    json.dumps([cell.arguments for cell in cells])
    written = studies()[name].read_text()
    for setting in study.lab.settings:
        assert f"  {setting}: " in written, "every setting is in the file"


def test_cells_are_computed_once_and_the_page_stands_alone(place: Path) -> None:
    code, out, err = invoke("coverage_exponential", *SMALL)
    assert code == 0
    assert "done    rare_mass=0.1, pairs=400, on-policy" in err
    assert "not reached: rare_mass=0.1, pairs=400: on-policy stays above KL 0.05" in out
    folder = place / "outputs" / "coverage_exponential"
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "http" not in page
    assert "What it does not show" in page
    lines = (folder / "measurements.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 2 * 2 * 3, "ways x seeds x (start, round) x quantities"
    code, out, _ = invoke("coverage_exponential", *SMALL, "--json")
    facts = json.loads(out)
    assert facts["computed"] == 0
    assert facts["lab"]["pairs"] == [400]
    assert facts["claims"] == json.loads((folder / "claims.json").read_text())["claims"]
    code, out, err = invoke("coverage_exponential", *SMALL, "rounds=2", "--jobs", "2")
    assert code == 0
    assert "3 cells\n" in err
    assert "rounds 1 -> 2" in err
    code, out, err = invoke("coverage_exponential", *SMALL, "rounds=2", "target_kl=0.5")
    assert "3 cells, 3 done already" in err, "how it is read is no part of a cell"


def test_a_dry_run_writes_nothing(place: Path) -> None:
    code, out, _ = invoke("coverage_exponential", *SMALL, "--dry-run")
    assert code == 0
    assert "finished: 0 of 3 cells" in out
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sedes=3"], "no setting sedes (did you mean 'seeds'?)"),
        (["lab.rare_mas=[0.1]"], "did you mean 'rare_mass'"),
        (["seeds=0"], "lab.seeds"),
        (["rare_mass=[2]"], "lab.rare_mass"),
        (["pairs=[4]"], "4 pairs for 5 features; take at least 5"),
        (["pairs=[]"], "lab.pairs is empty"),
        (["seeds=1,2"], "several values are a list"),
        (["--retries", "1"], "--retries is for studies of runs"),
    ],
)
def test_mistakes_are_refused_before_anything_is_computed(
    words: list[str], said: str, place: Path
) -> None:
    code, out, err = invoke("coverage_exponential", *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert not list(place.iterdir())


def test_a_folder_of_something_else_is_left_alone(place: Path) -> None:
    (place / "outputs" / "coverage_exponential").mkdir(parents=True)
    (place / "outputs" / "coverage_exponential" / "thesis.tex").write_text("mine")
    code, _, err = invoke("coverage_exponential", *SMALL)
    assert code == 2
    assert "--name NAME" in err


def test_the_study_that_is_documented_is_the_shipped_one(place: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "lab_studies.md").read_text()
    [example] = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (place / "mine.yaml").write_text(example)
    mine, shipped = (
        load_exact(f) for f in (place / "mine.yaml", studies()["coverage_exponential"])
    )
    assert mine.as_values() == shipped.as_values()
    for name in EXACT:
        assert f"| `{name}` |" in text


def test_a_table_that_is_too_wide_cuts_no_number() -> None:
    table = Table("t", ("what", *"abcdefgh"), (("a row", *[1.2345e-9] * 8),))
    reading = Reading(claims=(), tables=(table,), figures=(), shows="s", limits="l")
    console = Console(width=40, file=io.StringIO())
    print_reading("q?", reading, console)
    assert console.file.getvalue().count("1.23e-09") == 8  # type: ignore[attr-defined]


def test_a_failing_cell_leaves_the_others_and_says_its_figure(place: Path) -> None:
    words = ["rare_mass=[0.1]", "most=6000", "seeds=1", "target_kl=0.02", "hybrid_rounds=1"]
    code, out, err = invoke("samples_to_target", *words)
    assert (code, out) == (2, "")
    said = " ".join(err.split())
    assert "FAILED rare_mass=0.1, offline" in said
    assert "wanted 0.02. Allow more pairs (lab.most is 6000)" in said
    assert "done rare_mass=0.1, hybrid" in said
