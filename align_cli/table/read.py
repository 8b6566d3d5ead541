"""A path or a name -> rows."""

from pathlib import Path

from align_cli.errors import RowError
from align_cli.table.hub import DATASET_ID, read_hub
from align_cli.table.local import READERS, find_files, read_file
from align_cli.table.row import Row


def local_path(path: str) -> Path | None:
    """The file or folder of that name, or None if there is none."""
    place = Path(path).expanduser()
    return place if place.exists() else None


def read_table(
    path: str, split: str | None, *, config_name: str | None, revision: str | None
) -> list[Row]:
    """Rows of a local file, of a split in a local folder, or of a data set of the hub.

    What exists on disk is meant; else a name like `owner/name` is looked for on the hub.
    """
    place = local_path(path)
    if place is not None:
        return [row for file in find_files(place, split) for row in read_file(file)]
    if not DATASET_ID.fullmatch(path) or path.endswith(tuple(READERS)):
        raise RowError(f"{path}: no such file or folder (seen from {Path.cwd()})")
    return read_hub(path, split, config_name=config_name, revision=revision)
