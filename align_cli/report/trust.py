"""How far a round's labels and pairs can be believed: trivial rules, wrong winners, the audit."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from align_cli.report.result import Lines, RunResult
from align_cli.report.tables import NOTHING

PAIRS = {
    "repeated": ("2_completions", "sample/duplicate_share"),
    "longer": ("4_pairs", "pair/trivial/longer"),
    "first": ("4_pairs", "pair/trivial/first"),
    "digits": ("4_pairs", "pair/trivial/more_digits"),
    "answer": ("4_pairs", "pair/trivial/has_answer"),
    "stops": ("4_pairs", "pair/trivial/stops"),
    "wrong": ("4_pairs", "pair/chosen_wrong_share"),
    "expected": ("4_pairs", "pair/chosen_wrong_predicted"),
}
"""{column: (stage, metric)}"""
PAIRS_LEGEND = """\
repeated: share of answers that a sibling equals; longer ... stops: share of pairs
that this rule alone would choose too (0.5: it predicts nothing); wrong: chosen
answers that the verifier without noise calls wrong; expected: by counted error rates"""
AUDIT = {
    "said": "audit/said_right_share",
    "right": "audit/right_share",
    "gap": "audit/gap",
    "FP": "audit/false_positive_rate",
    "FN": "audit/false_negative_rate",
    "wrong": "audit/chosen_wrong_share",
    "expected": "audit/chosen_wrong_predicted",
    "turned": "audit/pairs_turned_share",
}
AUDIT_LEGEND = """\
said: right by the verifier that is trained on; right: by the held-out one, which
judges FP, FN and wrong (chosen answers); expected: wrong by counted error rates;
turned: pairs that it scores the other way. Best of n: chosen and scored by the
first > scored by the second"""
BEST = "audit/best_of_"


def trust(result: RunResult) -> dict[str, Any]:
    """{pairs, audit: {round: {column: value}}}; a value that was not measured is not there."""
    return {
        "pairs": _columns(result, PAIRS),
        "audit": _columns(result, {name: ("4_audit", key) for name, key in AUDIT.items()}),
        "best_of": {
            number: found
            for number, lines in result.rounds.items()
            if (found := best_of(lines.get("4_audit", {})))
        },
    }


def _columns(
    result: RunResult, columns: Mapping[str, tuple[str, str]]
) -> dict[int, dict[str, float]]:
    found = {
        number: {
            name: lines[stage][key]
            for name, (stage, key) in columns.items()
            if key in lines.get(stage, {})
        }
        for number, lines in result.rounds.items()
    }
    return {number: values for number, values in found.items() if values}


def best_of(metrics: Mapping[str, float]) -> dict[int, tuple[float, float]]:
    """{n: (score by the verifier that is trained on, by the held-out one)}."""
    numbers = [name.removeprefix(BEST) for name in metrics if name.startswith(BEST)]
    return {
        int(n): (metrics[f"{BEST}{n}/said"], metrics[f"{BEST}{n}"]) for n in numbers if n.isdigit()
    }


def print_trust(result: RunResult, console: Console) -> None:
    """Both tables, where there is anything in them."""
    found = trust(result)
    _print("pairs", found["pairs"], PAIRS, PAIRS_LEGEND, console)
    _print("audit", found["audit"], AUDIT, AUDIT_LEGEND, console)
    for number, best in found["best_of"].items():
        told = ", ".join(f"{n}: {said:.3f} > {held:.3f}" for n, (said, held) in best.items())
        console.print(f"round {number}: best of {told}", highlight=False, soft_wrap=True)
    for number, lines in result.rounds.items():
        if parts := _by_stratum(lines):
            line = f"round {number}: wrong (expected) {parts}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _by_stratum(lines: Lines) -> str:
    told = {**lines.get("4_pairs", {}), **lines.get("4_audit", {})}
    for kind in ("audit", "pair"):
        wrong, expected = (f"{kind}/chosen_wrong_{name}/" for name in ("share", "predicted"))
        parts = sorted(name.removeprefix(expected) for name in told if name.startswith(expected))
        if parts:
            return ", ".join(
                f"{part} {told[wrong + part]:.2f} ({told[expected + part]:.2f})"
                for part in parts
                if wrong + part in told
            )
    return ""


def _print(
    title: str,
    rounds: Mapping[int, Mapping[str, float]],
    columns: Mapping[str, Any],
    legend: str,
    console: Console,
) -> None:
    if not rounds:
        return
    shown = [name for name in columns if any(name in values for values in rounds.values())]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("round", *shown):
        table.add_column(name, justify="right", no_wrap=True)
    for number, values in rounds.items():
        cells = (f"{values[name]:.3f}" if name in values else NOTHING for name in shown)
        table.add_row(str(number), *cells)
    console.print(table)
    console.print(legend, highlight=False, markup=False, soft_wrap=True)
