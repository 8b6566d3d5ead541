"""An exact study as plain values: claims.json, --json and measurements.csv."""

import csv
import io
from dataclasses import asdict
from typing import Any

from align_cli import __version__
from align_cli.lab.reading import Reading
from align_cli.study.exact.compute import Computed
from align_cli.study.exact.file import ExactStudy

COLUMNS = ("cell", "quantity", "at", "seed", "value")


def claims_document(study: ExactStudy, computed: Computed, reading: Reading) -> dict[str, Any]:
    """What claims.json holds: the claims with their numbers, the tables, and the cells."""
    return {
        **study.as_values(),
        "align": __version__,
        "claims": [asdict(claim) for claim in reading.claims],
        "shows": reading.shows,
        "limits": reading.limits,
        "tables": [
            {
                "title": table.title,
                "columns": list(table.columns),
                "rows": [list(row) for row in table.rows],
            }
            for table in reading.tables
        ],
        "cells": [
            {
                "name": each.cell.name,
                "measure": each.cell.measure,
                "arguments": dict(each.cell.arguments),
                "stage": each.stage.fingerprint,
                "seconds": each.seconds,
            }
            for each in computed.done
        ],
    }


def as_csv(computed: Computed) -> str:
    """Every measurement of every cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in computed.done:
        for row in each.rows:
            seed = "" if row.seed is None else row.seed
            writer.writerow((each.cell.name, row.quantity, row.at, seed, row.value))
    return text.getvalue()
