"""What is installed is what is tested: the wheel finds its own conf/, away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FIND = "from align_cli.config.folders import conf_dir; print(conf_dir())"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        check=True, cwd=ROOT, capture_output=True,
    )  # fmt: skip
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def align(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # -P and PYTHONPATH: the wheel's package, not the checkout's.
    return subprocess.run(
        [sys.executable, "-P", "-m", "align_cli", *words],
        capture_output=True, text=True, cwd=cwd, check=False,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip


@pytest.mark.slow
def test_the_wheel_finds_its_own_conf(installed: Path, tmp_path: Path) -> None:
    listed = align(installed, tmp_path, "list", "loss")
    assert listed.returncode == 0, listed.stderr
    assert "loss=dpo" in listed.stdout
    checked = align(installed, tmp_path, "check", "loss=squaredpo")
    assert checked.returncode == 0, checked.stderr
    assert "squaredpo" in checked.stdout
    where = subprocess.run(
        [sys.executable, "-P", "-c", FIND],
        capture_output=True, text=True, cwd=tmp_path, check=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )  # fmt: skip
    studied = align(installed, tmp_path, "sweep", "n_versus_pace", "--dry-run")
    assert "detectable effect" in studied.stdout, studied.stderr
    assert Path(where.stdout.strip()) == installed / "align_cli" / "conf"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(installed: Path) -> None:
    tops = {each.name for each in installed.iterdir()}
    assert "align_cli" in tops
    assert len(tops) == 2
    shipped = {str(f.relative_to(ROOT / "conf")) for f in (ROOT / "conf").rglob("*.yaml")}
    found = installed / "align_cli" / "conf"
    assert shipped == {str(f.relative_to(found)) for f in found.rglob("*.yaml")}
