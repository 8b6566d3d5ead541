"""What the runs of a study have taken: every stored stage once, however many runs link to it."""

import json
from collections.abc import Iterable
from pathlib import Path

from align_cli.report.result import read_result
from align_cli.study.budget import Spent

HOUR_S = 3600.0


def spent_on(runs: Iterable[Path]) -> Spent:
    """Tokens generated and hours computed for the stages of these runs, start-up included.

    Stages that other studies share are counted here too: it is what the answer took.
    """
    stages: dict[tuple[str, str], Path] = {}
    seconds = 0.0
    for run in runs:
        for note in run.glob("*/*.json"):
            for facts in json.loads(note.read_text()).get("stages", {}).values():
                kind, name = str(facts["kind"]), str(facts["fingerprint"])
                stages[kind, name] = run.parent / ".store" / kind / name / "record.json"
        seconds += _outside(run)
    tokens = 0.0
    for record in stages.values():
        if record.is_file():
            cost = json.loads(record.read_text())["cost"]
            tokens += cost["generated_tokens"]
            seconds += cost["wall_seconds"]
    return Spent(tokens, seconds / HOUR_S)


def _outside(run: Path) -> float:
    """Seconds of a finished run that no stage accounts for."""
    if not (run / "metrics.jsonl").is_file():
        return 0.0
    return read_result(run).outside_seconds or 0.0
