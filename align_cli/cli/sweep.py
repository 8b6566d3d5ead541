"""`align sweep`: a study from its file; what is missing of it is run, a process a cell."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from align_cli.cli.arguments import AsJson
from align_cli.cli.output import print_json, progress, results
from align_cli.errors import ConfigError

if TYPE_CHECKING:
    from align_cli.study.grid import Grid
    from align_cli.study.sweep import Outcome


def _complete_study(incomplete: str) -> list[str]:
    from align_cli.study.files import studies

    return [name for name in studies() if name.startswith(incomplete)]


def sweep(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY", help="A file, or its name in sweeps/.", autocompletion=_complete_study
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS]...",
            help="Overrides of every cell; hydra.launcher.KEY=VALUE sets the launcher.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Cells, shared work, estimated cost; run nothing.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Cells at the same time: 1, or as many as the launcher takes."),
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option(help="basic (this machine), joblib, submitit_local, submitit_slurm or ray."),
    ] = None,
    fail_fast: Annotated[
        bool,
        typer.Option("--fail-fast/--keep-going", help="Stop at the first failure, or go on."),
    ] = False,
    retries: Annotated[int, typer.Option(min=0, help="Further attempts at a failed cell.")] = 0,
    name: Annotated[
        str | None, typer.Option(help="The study's folder; its file's name by default.")
    ] = None,
    config_dir: Annotated[
        Path | None, typer.Option(help="A folder with choices of your own, beside conf/.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a study: align sweep n_versus_pace --jobs 2; run again, it does what is missing."""
    from align_cli.config.launchers import GROUP, launcher_of, split_launcher_words
    from align_cli.study.files import find_study
    from align_cli.study.grid import is_exact, load_grid

    about_launcher, overrides = split_launcher_words(words or [])
    if launcher is not None:
        about_launcher.append(f"{GROUP}={launcher}")
    file = find_study(study)
    if is_exact(file):
        from align_cli.cli.exact import Asked, sweep_exactly

        refused = {"--retries": retries > 0, "--config-dir": config_dir is not None}
        refused["--launcher"] = bool(about_launcher)
        asked = Asked(
            dry_run=dry_run, jobs=jobs or 1, fail_fast=fail_fast, name=name, as_json=as_json,
            refused=refused,
        )  # fmt: skip
        sweep_exactly(file, overrides, asked)
        return
    launcher_of(about_launcher)
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError(f"--config-dir: there is no folder {config_dir}")
    folders = [config_dir.absolute()] if config_dir is not None else []
    grid = load_grid(file, overrides, name=name, config_dirs=folders)
    if dry_run:
        _preview(grid, as_json=as_json)
        return
    from align_cli.study.estimate import estimator
    from align_cli.study.launchers import at_once, open_launcher
    from align_cli.study.live import watcher_for
    from align_cli.study.sweep import Options
    from align_cli.study.sweep import sweep as carry_out

    options = Options(
        jobs=at_once(about_launcher, jobs, len(grid.cells)),
        retries=retries,
        fail_fast=fail_fast,
        launcher=open_launcher(about_launcher, run_cell, grid.folder),
    )
    outcome = carry_out(grid, options, watcher_for(progress()), estimator(grid))
    _report(grid, outcome, as_json=as_json)
    if outcome.count("done") < len(outcome.states):
        raise typer.Exit(1)


def cell(config: Annotated[Path, typer.Argument(metavar="FILE")]) -> None:
    """Run one cell from its frozen configuration: what `align sweep` starts, a process each."""
    from align_cli.config.reopened import reopen
    from align_cli.config.schema import RunConfig
    from align_cli.loop import rounds
    from align_cli.report.progress import reporter_for
    from align_cli.report.tables import print_result

    frozen = reopen(config)
    if not isinstance(frozen, RunConfig):
        raise ConfigError(f"{config}: is no run's configuration")
    print_result(rounds.run(frozen, reporter_for(progress())), results())


def run_cell(config_file: str) -> None:
    """`align cell FILE`, in a process that was made for it."""
    from align_cli.cli.app import app

    app(["cell", config_file], prog_name="align")


def _preview(grid: "Grid", *, as_json: bool) -> None:
    from align_cli.study.preview import preview, print_preview

    facts = preview(grid)
    if as_json:
        print_json(facts)
    else:
        print_preview(facts, results())


def _report(grid: "Grid", outcome: "Outcome", *, as_json: bool) -> None:
    counts = {state: outcome.count(state) for state in ("done", "failed", "missing")}
    if as_json:
        cells = [
            {"name": s.name, "seed": s.seed, "run": s.run, "state": s.state, "error": s.error}
            for s in outcome.states
        ]
        facts = {"study": str(grid.folder), "executed": outcome.executed, **counts}
        print_json({**facts, "stopped": outcome.stopped, "cells": cells})
        return
    out = results()
    for state in outcome.states:
        if state.state != "done":
            line = f"{state.state}: {state.name} seed={state.seed}: {state.error or 'not started'}"
            out.print(line, style="red", markup=False, soft_wrap=True)
    shown = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    out.print(f"{grid.folder}: {shown} of {len(outcome.states)} cells", markup=False)
