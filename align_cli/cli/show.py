"""`align show`: a run's rounds, yields and rows."""

from pathlib import Path
from typing import Annotated

import typer

from align_cli.cli.arguments import AsJson
from align_cli.cli.output import results
from align_cli.errors import ConfigError


def _runs(outputs: Path) -> list[str]:
    if not outputs.is_dir():
        return []
    return sorted(each.parent.name for each in outputs.glob("[!.]*/config.yaml"))


def complete_run(incomplete: str) -> list[str]:
    """Names of runs in ./outputs, for shells."""
    return [name for name in _runs(Path("outputs")) if name.startswith(incomplete)]


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run's folder, or its name.", autocompletion=complete_run
        ),
    ],
    prompt: Annotated[
        str | None, typer.Option(metavar="ID", help="Completions and pairs of one prompt.")
    ] = None,
    round_number: Annotated[
        int | None, typer.Option("--round", min=0, metavar="K", help="One round only.")
    ] = None,
    outputs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("outputs"),
    as_json: AsJson = False,
) -> None:
    """Show a run: progress, yields, a prompt's completions and pairs side by side."""
    folder = _folder_of(run, outputs)
    from align_cli.report import show as view

    view.show(folder, prompt=prompt, round_number=round_number, console=results(), as_json=as_json)


def _folder_of(run: str, outputs: Path) -> Path:
    for folder in (Path(run), outputs / run):
        if (folder / "config.yaml").is_file():
            return folder
    from align_cli.config.nearest import listed, meant

    known = _runs(outputs)
    raise ConfigError(
        f"show: no run {run!r} in {outputs}{meant(Path(run).name, known)}; runs: {listed(known)}"
    )
