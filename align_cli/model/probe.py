"""Pairs that lie beside a judge's weights: whoever uses the judge asks it these first."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from align_cli.errors import AlignError
from align_cli.rows import Message, Preference
from align_cli.store.stage import write_text

PROBE = "probe.json"


def write_probe(folder: Path, pairs: Sequence[Preference], log_odds: Sequence[float]) -> None:
    """Keep the pairs, and the log-odds of each as the model gave them when it was saved."""
    lines = [{**asdict(pair), "log_odds": z} for pair, z in zip(pairs, log_odds, strict=True)]
    write_text(folder / PROBE, json.dumps(lines, indent=1))


def read_probe(folder: Path) -> tuple[list[Preference], list[float]]:
    """The pairs and the log-odds; nothing where the folder has none."""
    file = folder / PROBE
    if not file.is_file():
        return [], []
    try:
        lines = json.loads(file.read_text())
        odds = [float(line.pop("log_odds")) for line in lines]
        pairs = [
            Preference(**{**line, "messages": tuple(Message(**m) for m in line["messages"])})
            for line in lines
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise AlignError(
            f"{file} cannot be read ({error!r}); train the model again, or delete the file and "
            "give pairs of your own as verifier.probe"
        ) from error
    return pairs, odds
