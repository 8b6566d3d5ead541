"""A small world of components in a package of its own, with a conf/ that names them."""

import sys
from pathlib import Path

import pytest

from align_cli.config import compose as composing
from align_cli.config.signature import signature_of
from align_cli.config.source import read_module

PARTS = '''
"""Toy components."""
from typing import Annotated, Literal
raise ImportError("a configuration is checked without importing components")
def task(split, round_number, seed, *, count: Annotated[int, ">= 1", "prompts"]): "Toy task."
def policy(folder, seed, *, path: str): "Toy policy."
def engine(draws, model, *, batch: int, half: bool = False): "Toy engine."
def sampler(prompts, judged, *, n: Annotated[int, ">= 2", "draws"], hint: str): "Toy sampler."
def verifier(prompts, completions, *, leaks: tuple[str, ...] = ()): "Toy verifier."
def noise(label, seed, *, flip: Annotated[float, "[0, 0.5)"]): "Toy noise."
def pairing(siblings, *, prefer: Literal["natural", "corrected"]) -> "list[Pair]":
    "Toy pairing."
def filter(pairs): "Toy filter."
def dpo(pairs, ref_pairs, *, beta: Annotated[float, "> 0", "1/nat"],
        label_smoothing: Annotated[float, "[0, 0.5)"] = 0.0):
    """Toy DPO.

        loss = -log sigmoid(beta margin)
    """
def ipo(pairs, ref_pairs, *, tau: float, link: Literal["square"] | None = None): "Toy IPO."
def schedule(*, rounds: Annotated[int, ">= 1"], ema: Annotated[float | None, "(0, 1)"] = None):
    "Toy schedule."
def evaluation(prompts, *, ks: tuple[int, ...]): "Toy evaluation."
def tracker(run, *, project: str | None): "Toy tracker."
def demonstration(seed, *, count: int): "Toy demonstrations."
def sft_plan(*, steps: int): "Toy warm start."
def greedy(logits, *, beta: float): "Asks for what no loss is offered."
def swallow(pairs, *, beta: float, **rest): "Takes anything."
'''

CONF = {
    "task/toy": "count: 8  # prompts",
    "policy/toy": "path: here  # a folder",
    "engine/toy": "batch: 4\nshard_draws: 64",
    "sampler/toy": "n: 4  # draws per prompt\nhint: 'a, b'",
    "verifier/toy": "leaks: []\nmax_unscored: 0.01  # share",
    "noise/toy": "flip: 0.0",
    "pairing/toy": "prefer: natural",
    "filter/none": "",
    "loss/dpo": "beta: 0.1  # 1/nat",
    "loss/ipo": "tau: 0.2",
    "schedule/toy": "rounds: 2",
    "evaluation/toy": "ks: [1, 4]",
    "tracker/toy": "project: null",
    "demonstration/toy": "count: 3",
}
EXPERIMENTS = {
    "hot": "override /loss: ipo\nloss: {tau: 0.9}\nseed: 7",
    "root_typo": "ronuds: 5",
    "key_typo": "loss: {beat: 0.5}",
    "group_typo": "override /lss: ipo",
    "choice_typo": "override /loss: ippo",
}
ROOT = """
name: null
seed: 0
outputs: outputs
device: auto
threads: null
plugins: [PACKAGE]
"""


def write_world(folder: Path, package: str) -> Path:
    """Write the package and its conf/; returns conf/."""
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_text('"""Toy."""\n')
    (folder / package / "parts.py").write_text(PARTS)
    conf = folder / "conf"
    for place, settings in CONF.items():
        group, choice = place.split("/")
        function = choice if group == "loss" else group
        (conf / group).mkdir(parents=True, exist_ok=True)
        (conf / f"{place}.yaml").write_text(
            f"# A toy {group}.\n_target_: {package}.parts.{function}\n{settings}\n"
        )
    for kind in ("experiment", "recipe"):
        (conf / kind).mkdir()
    for name, text in EXPERIMENTS.items():
        lines = text.splitlines()
        overrides = [line for line in lines if line.startswith("override")]
        head = (
            f"defaults: [{', '.join(f'{{{line}}}' for line in overrides)}]\n" if overrides else ""
        )
        body = "\n".join(line for line in lines if not line.startswith("override"))
        text = f"# @package _global_\n# Asks {name}.\n{head}{body}\n"
        (conf / "experiment" / f"{name}.yaml").write_text(text)
    (conf / "recipe" / "tiny.yaml").write_text("# @package _global_\n# Tiny.\nseed: 5\n")
    groups = [g for g in CONF if g not in ("loss/ipo", "demonstration/toy")]
    (conf / "config.yaml").write_text(_root("schema", groups, "experiment: null", package))
    warm = [
        g
        for g in CONF
        if g.split("/")[0]
        in ("task", "demonstration", "policy", "engine", "verifier", "evaluation", "tracker")
    ]
    train = f"train:\n  _target_: {package}.parts.sft_plan\n  steps: 10\n"
    (conf / "sft.yaml").write_text(_root("sft_schema", warm, "recipe: tiny", package) + train)
    return conf


def _root(schema: str, groups: list[str], last: str, package: str) -> str:
    entries = "".join(f"  - {each.replace('/', ': ')}\n" for each in groups)
    defaults = f"defaults:\n  - {schema}\n{entries}  - _self_\n  - {last}\n"
    return defaults + ROOT.replace("PACKAGE", package)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds conf/ and the package `toyparts`, which is the current folder too."""
    conf = write_world(tmp_path / "world", "toyparts")
    monkeypatch.chdir(conf.parent)
    monkeypatch.setattr(sys, "path", [*sys.path, str(conf.parent)])
    monkeypatch.setattr(composing, "conf_dir", lambda: conf)
    for cached in (signature_of, read_module):
        cached.cache_clear()
    return conf.parent
