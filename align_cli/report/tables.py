"""The table that a run ends with: one line per round."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from align_cli.report.result import Lines, RunResult

NOTHING = "-"


def print_result(result: RunResult, console: Console) -> None:
    """Accuracy, pairs and their absence, draws, tokens, seconds, by round; then where it lies."""
    table = Table(title=str(result.folder), title_justify="left", box=None, pad_edge=False)
    for name in COLUMNS:
        words = name == "no pair"
        table.add_column(name, justify="left" if words else "right", no_wrap=not words)
    for row in rows(result):
        table.add_row(*(str(row[name]) for name in COLUMNS))
    console.print(table)
    for line in closing_lines(result):
        console.print(line, highlight=False, soft_wrap=True)


COLUMNS = (
    "round", "sampled", "greedy", "pairs", "natural", "corrected", "no pair", "draws/prompt",
    "tokens", "KL", "seconds",
)  # fmt: skip


def rows(result: RunResult) -> list[dict[str, str]]:
    """The table's lines as text."""
    return [_row("start", result.start)] + [
        _row(str(number), lines) for number, lines in result.rounds.items()
    ]


def _row(name: str, lines: Lines) -> dict[str, str]:
    scores, pairs = lines.get("6_scores", {}), lines.get("4_pairs", {})
    drawn = lines.get("2_completions", {})
    seconds = sum(m.get("time/seconds", 0.0) for stage, m in lines.items() if stage != "run")
    none = {k.rsplit("/", 1)[1]: int(v) for k, v in pairs.items() if k.startswith("pair/none/")}
    return {
        "round": name,
        "sampled": _number(scores, "eval/sampled_accuracy", ".3f"),
        "greedy": _number(scores, "eval/greedy_accuracy", ".3f"),
        "pairs": _number(pairs, "pair/count", ".0f"),
        "natural": _number(pairs, "pair/natural", ".0f"),
        "corrected": _number(pairs, "pair/corrected", ".0f"),
        "no pair": ", ".join(f"{reason} {n}" for reason, n in none.items()) or NOTHING,
        "draws/prompt": _number(drawn, "sample/draws_per_prompt", ".3f"),
        "tokens": _number(drawn, "sample/generated_tokens", ",.0f"),
        "KL": _number(scores, "eval/kl_reference_nats", ".3f"),
        "seconds": f"{seconds:.1f}",
    }


def _number(metrics: Mapping[str, float], name: str, form: str) -> str:
    """What was not measured is a dash, not a zero."""
    return format(metrics[name], form) if name in metrics else NOTHING


def closing_lines(result: RunResult) -> list[str]:
    """Shared work, gate yields, totals."""
    lines = []
    shared = result.shared()
    if shared:
        lines.append(f"shared with earlier runs, not made again: {', '.join(shared)}")
    gate: dict[str, float] = {}
    for stages in result.rounds.values():
        for name, count in stages.get("4_pairs", {}).items():
            if name.startswith("gate/"):
                gate[name[5:]] = gate.get(name[5:], 0) + count
    if gate:
        counts = ", ".join(f"{name} {count:.0f}" for name, count in gate.items())
        lines.append(f"corrections at the gate, all rounds: {counts}")
    total = result.start.get("run", {}).get("time/run_seconds")
    if total is not None:
        lines.append(f"{total:.1f} s in all; every number is in {result.folder}/metrics.jsonl")
    return lines


def result_json(result: RunResult) -> dict[str, Any]:
    """The whole result as plain values, for `--json`."""
    return {
        "folder": str(result.folder),
        "complete": result.complete,
        "start": result.start,
        "rounds": [{"round": number, **lines} for number, lines in result.rounds.items()],
        "shared": result.shared(),
    }
