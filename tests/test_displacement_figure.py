"""The script of docs/displacement.md reads what a run writes."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "displacement" / "draw.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("displacement_draw", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run_folder(outputs: Path, loss: str, seed: int, fall: float, beta: float = 0.1) -> None:
    """Two epochs of two steps: the margin grows by one nat a step, the chosen falls by `fall`."""
    here = outputs / f"{loss}-{seed}-{beta}"
    here.mkdir(parents=True)
    settings = {"seed": seed, "schedule.epochs": 2, "loss.beta": beta}
    (here / ".identity.json").write_text(json.dumps(settings))
    (here / "config.yaml").write_text(f"defaults:\n- schema\n- loss: {loss}\n- _self_\n")
    names = ("chosen_logratio_nats", "rejected_logratio_nats")
    lines = [
        (0, "5_policy", k, dict(zip(names, (-fall * k, -(fall + 1) * k), strict=True)))
        for k in range(4)
    ]
    train = [(r, s, k, {f"train/{n}": v for n, v in m.items()}) for r, s, k, m in lines]
    after = {"after/chosen_logratio_nats": -4 * fall, "after/rejected_logratio_nats": -4 * fall - 4,
             "after/chosen_fallen_share": 0.5, "after/reward_margin": 1.0}  # fmt: skip
    scores = {"eval/sampled_accuracy": 0.5 + seed / 10, "eval/greedy_accuracy": 0.6}
    told = [
        (None, "6_scores", None, scores),
        *train,
        (0, "5_policy", None, after),
        (0, "6_scores", None, {**scores, "eval/kl_initial_nats": 2.0}),
    ]
    keys = ("round", "stage", "step", "metrics")
    text = "".join(json.dumps(dict(zip(keys, line, strict=True))) + "\n" for line in told)
    (here / "metrics.jsonl").write_text(text)


def test_the_table_has_mean_and_range_over_seeds_and_the_fall_at_a_margin(
    script: ModuleType, tmp_path: Path
) -> None:
    for seed, fall in ((0, 0.5), (1, 1.5)):
        run_folder(tmp_path, "dpo", seed, fall)
    [_, _, line] = script.table(script.read(tmp_path)).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    loss, seeds, chosen, _, margin, *_, at_one, at_two = cells
    assert (loss, seeds) == ("dpo", "2")
    assert chosen == "-4.00 (-6.00 to -2.00)"
    assert margin == "4.00 (4.00 to 4.00)"
    assert at_one == "-1.00 (-1.50 to -0.50)"
    assert at_two == "-2.00 (-3.00 to -1.00)"

    last = script.accuracies(script.read(tmp_path)).splitlines()[-1]
    assert last == "| dpo | 0.55 (0.50 to 0.60) |"


def test_runs_of_one_loss_are_told_apart_by_what_differs(
    script: ModuleType, tmp_path: Path
) -> None:
    for beta in (0.1, 0.01):
        run_folder(tmp_path, "squaredpo", 0, 0.5, beta)
    assert {run.loss for run in script.read(tmp_path)} == {
        "squaredpo (beta 0.1)",
        "squaredpo (beta 0.01)",
    }


def test_the_figure_is_drawn(script: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `figures` is not installed")
    for seed in (0, 1):
        run_folder(tmp_path, "dpo", seed, 0.5)
    script.draw(script.read(tmp_path), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
