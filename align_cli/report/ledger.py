"""What a run has cost, by kind of stage, and how training moved its pairs, by round."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from align_cli.report.result import Lines, RunResult
from align_cli.report.tables import NOTHING, unit_of

SUMS = ("prompt_tokens", "generated_tokens", "scored_tokens", "trained_tokens", "verifier_calls")
"""Columns of the ledger that are counts."""


def ledger(result: RunResult) -> dict[str, dict[str, float]]:
    """{stage: summed cost} over all rounds, `peak_bytes` being a maximum; `total` is last.

    Shared stages count at what they cost when they were made: it is what the result took, whoever
    paid. `seconds_here` is what this run itself spent.
    """
    totals: dict[str, dict[str, float]] = {}
    for lines in (result.start, *result.rounds.values()):
        for stage, metrics in lines.items():
            if "time/seconds" in metrics:
                _add(totals.setdefault(stage, {}), metrics)
                _add(totals.setdefault("total", {}), metrics)
    total = totals.pop("total", None)
    ordered = dict(sorted(totals.items()))
    return ordered if total is None else {**ordered, "total": total}


def _add(sums: dict[str, float], metrics: Mapping[str, float]) -> None:
    costs = {k.removeprefix("cost/"): v for k, v in metrics.items() if k.startswith("cost/")}
    for name, value in {**costs, "seconds_here": metrics["time/seconds"]}.items():
        before = sums.get(name, 0.0)
        sums[name] = max(before, value) if name == "peak_bytes" else before + value


def print_ledger(result: RunResult, console: Console) -> None:
    """The ledger as a table: tokens, floating-point operations, seconds, memory."""
    table = Table(
        title="cost", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("stage")
    for name in (
        "prompt",
        "generated",
        "scored",
        "trained",
        "judged",
        "TFLOP",
        "s",
        "cpu s",
        "MiB",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for stage, cost in ledger(result).items():
        flops = (cost["forward_flops"] + cost["backward_flops"]) / 1e12
        table.add_row(
            stage,
            *(f"{cost[name]:,.0f}" if cost[name] else NOTHING for name in SUMS),
            f"{flops:.2f}" if flops else NOTHING,
            f"{cost['wall_seconds']:.1f}",
            f"{cost['cpu_seconds']:.1f}",
            f"{cost['peak_bytes'] / 2**20:,.0f}",
        )
    console.print(table)


TRAINING = {
    "loss": "after/loss",
    "accuracy": "after/accuracy",
    "margin": "after/reward_margin",
    "chosen": "after/chosen_logratio_nats",
    "rejected": "after/rejected_logratio_nats",
    "fallen": "after/chosen_fallen_share",
}
"""{column: metric of stage 5_policy, after the last step}"""

SIDES = {
    "pairs": (),
    "groups": ("chosen: the best of a group by score; rejected: its worst; accuracy: of siblings",),
}
"""What the columns mean for what is trained on, beyond the line that holds for all."""


def print_training(result: RunResult, console: Console) -> None:
    """Displacement: log-ratios to the reference of what was trained on [nats], by side."""
    unit = unit_of(result)
    table = Table(
        title=f"trained {unit}",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in ("round", *TRAINING, "KL", "KL start", "entropy"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, lines in result.rounds.items():
        table.add_row(str(number), *_training(lines))
    if not result.rounds:
        return
    console.print(table)
    for line in SIDES[unit]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(
        "chosen, rejected: mean log(policy / reference) after training [nats]; fallen: share of "
        "chosen\nthat lost log-prob; KL [nats per completion]; entropy [nats per token]",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _training(lines: Lines) -> list[str]:
    trained, scores = lines.get("5_policy", {}), lines.get("6_scores", {})
    cells = [_cell(trained, metric) for metric in TRAINING.values()]
    return cells + [
        _cell(scores, metric)
        for metric in ("eval/kl_reference_nats", "eval/kl_initial_nats",
                       "eval/entropy_nats_per_token")
    ]  # fmt: skip


def _cell(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.3f}" if name in metrics else NOTHING
