"""Rows of a data set on the Hugging Face hub."""

import re
from typing import Any

from align_cli.errors import AlignError, RowError
from align_cli.table.row import Row

DATASET_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?")


def read_hub(
    name: str, split: str | None, *, config_name: str | None, revision: str | None
) -> list[Row]:
    """Every row of one split; code that a data set brings along is never run."""
    import datasets

    if split is None:
        raise AlignError(f"{name} is a data set of the Hugging Face hub; name one of its splits")
    try:
        table: Any = datasets.load_dataset(name, name=config_name, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise AlignError(
            f"{name!r} is no local file or folder, and as a data set of the Hugging Face hub "
            f"(config {config_name}, split {split}) it cannot be loaded: {error}. Without a "
            "network, download it elsewhere and set path to the folder"
        ) from error
    rows = [
        Row(dict(values), f"{name}:{split}", number) for number, values in enumerate(table, start=1)
    ]
    if not rows:
        raise RowError(f"{name}:{split} holds no row")
    return rows
