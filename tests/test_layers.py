"""Imports point one way, and light commands stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "align_cli"

GROUPS = ("task", "demonstration", "preference", "policy", "engine", "sampler", "verifier",
          "noise", "pairing", "filter", "loss", "objective", "schedule", "evaluation",
          "tracker")  # fmt: skip
RANKS = {
    "__main__": 100,
    "cli": 90,
    "study": 80,
    "agreement": 75,
    "loop": 70,
    "report": 65,
    "train": 60,
    **dict.fromkeys(GROUPS, 50),
    "config": 45,
    "lab": 60,
    "model": 40,
    "bandit": 35,
    "store": 30,
    "arithmetic": 25,
    "table": 25,
    "gate": 25,
    "step_tree": 25,
    "trivial_rules": 25,
    "batches": 20,
    "training_rows": 22,
    "rows": 20,
    "seeds": 10,
    "errors": 10,
    "__init__": 0,
}
"""A module may import from its own package and from packages of a lower rank."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(file: Path) -> list[tuple[str, bool]]:
    """(module, whether at run time) of every import, lazy ones included."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(each.name, node not in typing_only) for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            # `from align_cli.loop import rounds` imports a module of that package.
            names = [node.module]
            if node.module == "align_cli":
                names = [f"align_cli.{each.name}" for each in node.names]
            found += [(name, node not in typing_only) for name in names]
    return found


def package_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def of_file(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def test_every_package_has_a_rank() -> None:
    assert len(modules()) > 30
    assert {of_file(file) for file in modules()} <= set(RANKS)


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_one_way(file: Path) -> None:
    own = of_file(file)
    for module, at_run_time in imports(file):
        if module.split(".")[0] != "align_cli" or module == "align_cli.__version__":
            continue
        other = package_of(module)
        if other == own or (not at_run_time and other == "config"):
            continue
        assert RANKS[other] < RANKS[own], f"{file}: {own} must not import {module}"


HOMES = {"hydra": "config", "omegaconf": "config", "typer": "cli", "wandb": "tracker", "click": ""}


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_frameworks_stay_at_home(file: Path) -> None:
    for module, _ in imports(file):
        top = module.split(".")[0]
        assert HOMES.get(top, of_file(file)) == of_file(file), f"{file} imports {module}"


HEAVY = ("torch", "transformers", "datasets", "wandb", "hydra", "omegaconf", "pyarrow", "numpy")


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ([], ()),
        (["--help"], ()),
        (["run", "--help"], ()),
        (["compare", "--help"], ()),
        (["verify", "--help"], ()),
        (["list"], ("hydra", "omegaconf")),
        (["list", "loss"], ("hydra", "omegaconf")),
        (["explain", "loss=dpo"], ("hydra", "omegaconf")),
        (["run", "lss=dpo"], ("hydra", "omegaconf")),
        (["check"], ("hydra", "omegaconf")),
        (["check", "pairing=siblings"], ("hydra", "omegaconf")),
        (["sweep", "beta", "--dry-run"], ("hydra", "omegaconf")),
    ],
    ids=str,
)
def test_light_commands_load_nothing_heavy(words: list[str], allowed: tuple[str, ...]) -> None:
    program = (
        "import sys, align_cli.cli\n"
        f"try:\n    align_cli.cli.app({words!r}, prog_name='align') if {words!r} else None\n"
        "except SystemExit: pass\n"
        f"print('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    loaded = done.stdout.splitlines()[-1].split()[1:]
    assert set(loaded) <= set(allowed)
