"""`align doctor`: whether everything a run needs is here, and what to do where it is not."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from align_cli.cli.arguments import AsJson
from align_cli.cli.findings import Finding
from align_cli.cli.output import plain, print_json, progress, results

STYLES = {"ok": "green", "note": "yellow", "broken": "red"}


def doctor(
    outputs: Annotated[Path, typer.Option(help="The folder that runs would write to.")] = Path(
        "outputs"
    ),
    as_json: AsJson = False,
) -> None:
    """Check the installation: versions, device, disk, W&B, conf/ and the math verifier."""
    findings: list[Finding] = []
    for examine in _examinations(outputs):
        found = examine()
        findings += found if isinstance(found, list) else [found]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for each in findings:
            state = f"[{STYLES[each.state]}]{each.state}[/]"
            table.add_row(state, each.subject, plain(each.detail))
        results().print(table)
    broken = [each.subject for each in findings if each.state == "broken"]
    if broken:
        progress().print(f"broken: {', '.join(broken)}", style="red", markup=False)
        raise typer.Exit(1)


def _examinations(outputs: Path) -> list[Callable[[], Finding | list[Finding]]]:
    from align_cli.cli import findings

    return [
        findings.python,
        findings.libraries,
        findings.configuration,
        lambda: findings.disk(outputs),
        findings.device,
        findings.wandb,
        findings.math_verifier,
    ]
