"""What a sweep of losses took beside one generation and its trainings, from the ledger.

    align sweep tests/benchmarks/twelve_losses.yaml outputs=/tmp/twelve
    python tests/benchmarks/shared_cost.py /tmp/twelve

A stage is counted once, however many cells link to it. Seconds outside stages (starting a process,
loading libraries) are of the runs' own accounts.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from align_cli.report.result import read_result

OF_THE_BAR = ("2_completions", "5_policy")
"""One generation and every training: what the rest is measured by."""


def ledger(outputs: Path) -> dict[str, dict[str, float]]:
    """{place: stages, FLOPs and seconds}, each stored stage once, by its place in the rounds."""
    seen: set[tuple[str, str]] = set()
    found: dict[str, Counter[str]] = {}
    for note in sorted(outputs.glob("*/*/*.json")):
        if not (note.parent.parent / "metrics.jsonl").is_file():
            continue
        for facts in json.loads(note.read_text())["stages"].values():
            stage = (facts["kind"], facts["fingerprint"])
            if stage in seen:
                continue
            seen.add(stage)
            cost = json.loads((outputs / ".store" / "/".join(stage) / "record.json").read_text())
            cost = cost["cost"]
            place = note.stem if note.parent.name != "start" else f"start/{note.stem}"
            line = found.setdefault(place, Counter())
            line["stages"] += 1
            line["flops"] += cost["forward_flops"] + cost["backward_flops"]
            line["seconds"] += cost["wall_seconds"]
    return {place: dict(line) for place, line in found.items()}


def main(outputs: Path) -> None:
    """Print the ledger, and the sum beside the bar."""
    lines = ledger(outputs)
    for place, line in sorted(lines.items()):
        flops, seconds = line["flops"], line["seconds"]
        print(f"{place:24s} {line['stages']:4.0f} stages {flops:10.3e} FLOP {seconds:8.1f} s")
    runs = [each.parent for each in outputs.glob("*/metrics.jsonl")]
    outside = sum(read_result(run).outside_seconds or 0.0 for run in runs)
    print(f"outside of stages, {len(runs)} runs: {outside:.1f} s")
    examined = [place for place in lines if place.endswith("6_scores")]
    for unit in ("flops", "seconds"):
        bar = sum(lines[place][unit] for place in OF_THE_BAR)
        method = sum(line[unit] for place, line in lines.items() if place not in examined)
        whole = sum(line[unit] for line in lines.values())
        whole += outside if unit == "seconds" else 0.0
        print(f"{unit}: {method / bar:.3f} of the bar without examinations, {whole / bar:.3f} with")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
