"""The table that a run ends with: one line per round."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from align_cli.report.result import Lines, RunResult

NOTHING = "-"
LEGEND = (
    "sampled, greedy: held-out accuracy; draws: completions per prompt; tokens: generated for "
    "training;\nKL: to the round's reference [nats per completion]; s: seconds this run spent"
)


def print_result(result: RunResult, console: Console) -> None:
    """Accuracy, pairs and their absence, draws, tokens, seconds, by round; then where it lies."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows(result):
        table.add_row(*(row[name] for name in COLUMNS))
    console.print(table)
    for line in closing_lines(result):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


COLUMNS = (
    "round", "sampled", "greedy", "pairs", "natural", "corrected", "draws", "tokens", "KL", "s",
)  # fmt: skip


def rows(result: RunResult) -> list[dict[str, str]]:
    """The table's lines as text."""
    return [_row("start", result.start)] + [
        _row(str(number), lines) for number, lines in result.rounds.items()
    ]


def _row(name: str, lines: Lines) -> dict[str, str]:
    scores, pairs = lines.get("6_scores", {}), lines.get("4_pairs", {})
    drawn = lines.get("2_completions", {})
    seconds = sum(
        m.get("time/seconds", 0.0)
        for stage, m in lines.items()
        if stage not in ("run", "eval", "sft")
    )
    return {
        "round": name,
        "sampled": _number(scores, "eval/sampled_accuracy", ".3f"),
        "greedy": _number(scores, "eval/greedy_accuracy", ".3f"),
        "pairs": _number(pairs, "pair/count", ".0f"),
        "natural": _number(pairs, "pair/natural", ".0f"),
        "corrected": _number(pairs, "pair/corrected", ".0f"),
        "draws": _number(drawn, "sample/draws_per_prompt", ".3f"),
        "tokens": _number(drawn, "sample/generated_tokens", ",.0f"),
        "KL": _number(scores, "eval/kl_reference_nats", ".3f"),
        "s": f"{seconds:.1f}",
    }


def _number(metrics: Mapping[str, float], name: str, form: str) -> str:
    """What was not measured is a dash, not a zero."""
    return format(metrics[name], form) if name in metrics else NOTHING


def closing_lines(result: RunResult) -> list[str]:
    """What the columns mean, why prompts gave no pair, gate yields, shared work, totals."""
    lines = [LEGEND]
    for number, stages in result.rounds.items():
        none = counts(stages.get("4_pairs", {}), "pair/none/")
        if none:
            lines.append(f"round {number}: prompts without a pair: {none}")
    shared = result.shared()
    if shared:
        lines.append(f"shared with earlier runs, not made again: {', '.join(shared)}")
    for number, stages in result.rounds.items():
        gate = counts(stages.get("4_pairs", {}), "gate/")
        if gate:
            lines.append(f"round {number}: corrections at the gate: {gate}")
    total = result.start.get("run", {}).get("time/run_seconds")
    if total is not None:
        lines.append(f"{total:.1f} s; every number is in {result.folder}/metrics.jsonl")
    return lines


def counts(metrics: Mapping[str, float], prefix: str) -> str:
    """`reason count, ...` of every metric under a prefix."""
    found = {name.removeprefix(prefix): n for name, n in metrics.items() if name.startswith(prefix)}
    return ", ".join(f"{reason} {n:.0f}" for reason, n in found.items())


def result_json(result: RunResult) -> dict[str, Any]:
    """The whole result as plain values, for `--json`."""
    return {
        "folder": str(result.folder),
        "complete": result.complete,
        "start": result.start,
        "rounds": [{"round": number, **lines} for number, lines in result.rounds.items()],
        "shared": result.shared(),
    }
