"""Recorded traces: a change that should not alter numbers does not.

Record again with ALIGN_UPDATE_GOLDEN=1 and give the reason in the commit.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest
from small_runs import run_small

GOLDEN = Path(__file__).parent / "golden"
PER_STEP = ("train/loss", "train/reward_margin", "train/grad_norm", "train/chosen_logratio_nats")
PER_ROUND = {
    "2_completions": ("sample/completions", "sample/generated_tokens"),
    "3_labels": ("label/right_share",),
    "4_pairs": ("pair/count", "pair/corrected"),
    "6_scores": ("eval/greedy_accuracy", "eval/sampled_accuracy", "eval/kl_reference_nats"),
}
RUNS = {"best_dpo": (), "pace_squaredpo": ("sampler=pace", "loss=squaredpo")}


def trace(outputs: Path, words: tuple[str, ...]) -> list[dict]:
    """Every step's numbers, and every round's."""
    folder = run_small(outputs, *words).folder
    lines = []
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        names = PER_STEP if entry["step"] is not None else PER_ROUND.get(entry["stage"], ())
        kept = {name: entry["metrics"][name] for name in names if name in entry["metrics"]}
        if kept:
            lines.append({"round": entry["round"], "step": entry["step"], **kept})
    return lines


@pytest.mark.golden
@pytest.mark.parametrize("name", RUNS)
def test_the_trace_is_the_recorded_one(name, tmp_path):
    file = GOLDEN / f"{name}.jsonl"
    found = trace(tmp_path, RUNS[name])
    header = {"torch": version("torch"), "transformers": version("transformers")}
    if os.environ.get("ALIGN_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text("".join(json.dumps(line) + "\n" for line in [header, *found]))
    recorded = [json.loads(line) for line in file.read_text().splitlines()]
    # The first loss is known without a recording: log 2, at the reference.
    assert found[[line["step"] for line in found].index(0)]["train/loss"] == pytest.approx(
        0.693147, abs=1e-4
    )
    assert [line["step"] for line in found] == [line["step"] for line in recorded[1:]]
    drift: dict[str, list[float]] = {}
    for mine, wanted in zip(found, recorded[1:], strict=True):
        for key in wanted.keys() - {"round", "step"}:
            # A sampled token may flip where another processor rounds another way; a change of the
            # mathematics moves every number by far more.
            assert mine[key] == pytest.approx(wanted[key], rel=0.02, abs=0.02), (mine, wanted)
            drift.setdefault(key, []).append(mine[key] - wanted[key])
    for key, differences in drift.items():
        # Slow one-sided drift hides inside a tolerance per line, not inside the mean.
        assert abs(sum(differences) / len(differences)) < 5e-3, key
