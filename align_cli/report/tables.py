"""The table that a run ends with: one line per round."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from align_cli.report.result import Lines, RunResult

NOTHING = "-"
LEGEND = (
    "{exam}; draws: completions per prompt; tokens: generated for training;\n"
    "KL: to the round's reference [nats per completion]; s: seconds this run spent"
)
EXACT = "eval/kl_optimum_nats"
"""A metric of policies that were examined exactly, and of no others."""
EXAMS: Mapping[bool, tuple[str, dict[str, tuple[str, str]]]] = {
    False: (
        "sampled, greedy: held-out accuracy",
        {
            "sampled": ("eval/sampled_accuracy", ".3f"),
            "greedy": ("eval/greedy_accuracy", ".3f"),
        },
    ),
    True: (
        "KL*: of the best policy to this one, exact; reward: expected; contracted: largest error "
        "of\nan implicit reward over that of the policy before; coverage: tr(V* V^-1)",
        {
            "KL*": (EXACT, ".2e"),
            "reward": ("eval/sampled_score", ".4g"),
            "contracted": ("eval/contraction_factor", ".3f"),
            "coverage": ("eval/coverage_trace", ".4g"),
        },
    ),
}
"""{whether policies were examined exactly: (what the columns mean, {column: (metric, form)})}"""


def print_result(result: RunResult, console: Console) -> None:
    """Accuracy, pairs and their absence, draws, tokens, seconds, by round; then where it lies."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown = columns(result)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows(result):
        table.add_row(*(row[name] for name in shown))
    console.print(table)
    for line in closing_lines(result):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


YIELDS = {
    "pairs": {"pairs": "pair/count", "natural": "pair/natural", "corrected": "pair/corrected"},
    "groups": {
        "groups": "group/count",
        "members": "group/completions",
        "corrected": "group/corrected",
    },
}
"""{what was trained on: {column: metric of the stage 4_pairs}}"""


def unit_of(result: RunResult) -> str:
    """`groups` where the pairing stage made groups, else `pairs`."""
    stages = [lines.get("4_pairs", {}) for lines in result.rounds.values()]
    return "groups" if any("group/count" in metrics for metrics in stages) else "pairs"


def columns(result: RunResult) -> tuple[str, ...]:
    """The table's columns, by what was trained on."""
    unit, exam = unit_of(result), exam_of(result)[1]
    if exam == EXAMS[True][1]:
        # An answer is one token, and draws are in the count of pairs.
        return ("round", *exam, unit, "draws", "KL", "s")
    return ("round", *exam, *YIELDS[unit], "draws", "tokens", "KL", "s")


def exam_of(result: RunResult) -> tuple[str, dict[str, tuple[str, str]]]:
    """What the examination's columns mean, and {column: (metric, form)}."""
    return EXAMS[EXACT in result.start.get("6_scores", {})]


def rows(result: RunResult) -> list[dict[str, str]]:
    """The table's lines as text."""
    unit, (_, exam) = unit_of(result), exam_of(result)
    return [_row("start", result.start, unit, exam)] + [
        _row(str(number), lines, unit, exam) for number, lines in result.rounds.items()
    ]


def _row(name: str, lines: Lines, unit: str, exam: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    scores, made = lines.get("6_scores", {}), lines.get("4_pairs", {})
    drawn = lines.get("2_completions", {})
    seconds = sum(
        m.get("time/seconds", 0.0)
        for stage, m in lines.items()
        if stage not in ("run", "eval", "sft", "train-rm")
    )
    return {
        "round": name,
        **{column: _number(scores, metric, form) for column, (metric, form) in exam.items()},
        **{column: _number(made, metric, ".0f") for column, metric in YIELDS[unit].items()},
        "draws": _number(drawn, "sample/draws_per_prompt", ".3f"),
        "tokens": _number(drawn, "sample/generated_tokens", ",.0f"),
        "KL": _number(scores, "eval/kl_reference_nats", ".3f"),
        "s": f"{seconds:.1f}",
    }


def _number(metrics: Mapping[str, float], name: str, form: str) -> str:
    """What was not measured is a dash, not a zero."""
    return format(metrics[name], form) if name in metrics else NOTHING


def closing_lines(result: RunResult) -> list[str]:
    """What the columns mean, why prompts gave nothing, gate yields, shared work, totals."""
    lines = [LEGEND.format(exam=exam_of(result)[0])]
    one = unit_of(result).removesuffix("s")
    for number, stages in result.rounds.items():
        none = counts(stages.get("4_pairs", {}), f"{one}/none/")
        if none:
            lines.append(f"round {number}: prompts without a {one}: {none}")
        dropped = counts(stages.get("4_pairs", {}), "pair/filtered/")
        if dropped:
            lines.append(f"round {number}: pairs that the filter dropped: {dropped}")
    lines += [text for number, stages in result.rounds.items() for text in _unseen(number, stages)]
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


def _unseen(number: int, stages: Lines) -> list[str]:
    """What a round's examples cannot teach, whatever their labels."""
    unseen = stages.get("5_policy", {}).get("after/unseen_directions", 0.0)
    if not unseen:
        return []
    return [
        f"round {number}: in {unseen:.0f} directions of the weights no example of the round has "
        "anything to say; the ridge holds them where they are smallest. Take more prompts"
    ]


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
