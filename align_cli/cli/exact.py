"""`align sweep` of a study that the lab computes: cells, claims, tables and a page."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from align_cli.cli.output import print_error, print_json, progress, results
from align_cli.errors import AlignError, ConfigError

if TYPE_CHECKING:
    from align_cli.lab.experiment import Experiment
    from align_cli.study.exact.compute import Computed
    from align_cli.study.exact.file import ExactStudy

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Matrices of the lab are small: threads only get in each other's way, and into the last digits."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of the command."""

    dry_run: bool
    jobs: int
    fail_fast: bool
    name: str | None
    as_json: bool
    refused: Mapping[str, bool]
    """{option that means nothing here: whether it was given}"""


def sweep_exactly(file: Path, words: Sequence[str], asked: Asked) -> None:
    """Compute what is missing, then write and print what the numbers say."""
    for option, given in asked.refused.items():
        if given:
            raise ConfigError(f"{option} is for studies of runs; the cells of {file} are computed")
    # Read by numpy when it is imported, which is below.
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    from align_cli.study.exact.compute import compute_all
    from align_cli.study.exact.file import load_exact

    study = load_exact(file, words, name=asked.name)
    experiment = study.experiment()
    if asked.dry_run:
        _preview(study, experiment, as_json=asked.as_json)
        return
    from align_cli.study.exact.written import check_folder, write

    check_folder(study)
    console = progress()

    def told(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    computed = compute_all(
        experiment, study.outputs / ".store", jobs=asked.jobs, fail_fast=asked.fail_fast, told=told
    )
    if computed.failed:
        raise typer.Exit(_failed(computed))
    reading = experiment.read({each.cell.name: each.rows for each in computed.done})
    files = write(study, computed, reading, told)
    if asked.as_json:
        from align_cli.study.exact.document import claims_document

        facts = {"study": str(study.folder), "computed": computed.made}
        print_json({**facts, **claims_document(study, computed, reading)})
        return
    from align_cli.study.exact.terminal import print_reading

    print_reading(study.question, reading, results())
    for place in files:
        results().print(str(place), markup=False, soft_wrap=True)


def _failed(computed: "Computed") -> int:
    """Say what failed; a mistake of the user's where every failure is one."""
    for name, error in computed.failed.items():
        print_error(error, before=f"{name}: ")
    if computed.left:
        print_error(AlignError(f"{len(computed.left)} cells were not started (--fail-fast)"))
    mistake = ConfigError.exit_code
    ours = any(error.exit_code != mistake for error in computed.failed.values())
    return AlignError.exit_code if ours else mistake


def _preview(study: "ExactStudy", experiment: "Experiment", *, as_json: bool) -> None:
    from align_cli.study.exact.compute import stage_of

    root = study.outputs / ".store"
    cells: list[dict[str, Any]] = []
    for cell in experiment.cells:
        stage = stage_of(root, cell)
        seconds = stage.record.cost["wall_seconds"] if stage.complete else None
        cells.append({"name": cell.name, "finished": stage.complete, "seconds": seconds})
    finished = sum(each["finished"] for each in cells)
    if as_json:
        facts = {"study": study.name, "folder": str(study.folder), **study.as_values()}
        print_json({**facts, "cells": cells, "finished": finished})
        return
    out = results()
    out.print(study.question, style="bold", markup=False)
    for each in cells:
        state = f"finished, took {each['seconds']:.1f} s" if each["finished"] else "new"
        out.print(f"  {each['name']}: {state}", markup=False, soft_wrap=True)
    line = f"finished: {finished} of {len(cells)} cells; the study's folder is {study.folder}"
    out.print(line, markup=False, soft_wrap=True)
