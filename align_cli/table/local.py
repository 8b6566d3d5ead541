"""Rows of a local file: .jsonl, .json, .csv or .parquet."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from align_cli.errors import RowError
from align_cli.table.row import Row


def read_file(file: Path) -> list[Row]:
    """Every row of the file, in its order; a malformed one is an error that names its line."""
    reader = READERS.get(file.suffix)
    if reader is None:
        raise RowError(f"{file}: unknown kind of file; wanted one of {', '.join(READERS)}")
    rows = list(reader(file))
    if not rows:
        raise RowError(f"{file} holds no row")
    return rows


def find_files(path: Path, split: str | None) -> list[Path]:
    """The file itself, or a split's files in a folder: `train.jsonl`, `train-00000.parquet`."""
    if path.is_file():
        if split is not None:
            raise RowError(
                f"{path} is one file and has no split {split!r}; give the folder that holds "
                f"{split}.jsonl, or set the split to null"
            )
        return [path]
    known = sorted(each for each in path.iterdir() if each.suffix in READERS)
    names = ", ".join(each.name for each in known) or "no file that can be read"
    if split is None:
        raise RowError(f"{path} is a folder; name a split or a file of it. It has {names}")
    found = [each for each in known if each.stem == split or each.stem.startswith(f"{split}-")]
    kinds = {each.suffix for each in found}
    if len(kinds) != 1:
        problem = "several kinds of files" if kinds else "no file"
        raise RowError(f"{path} has {problem} for the split {split!r}; it has {names}")
    return found


def _json_lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield _row(_loads(line, f"{file}:{number}"), str(file), number)


def _json(file: Path) -> Iterator[Row]:
    """An array of objects; anything else is read as one object a line."""
    content = file.read_bytes()
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        yield from _json_lines(file)
        return
    for number, value in enumerate(_loads(content, str(file)), start=1):
        yield _row(value, str(file), number)


def _loads(content: bytes, place: str) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RowError(f"{place} is not UTF-8: {error.reason} at byte {error.start}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise RowError(f"{place} is not JSON: {error}") from error


def _row(value: Any, table: str, number: int) -> Row:
    if not isinstance(value, dict):
        raise RowError(f"{table}:{number} is a {type(value).__name__}, wanted an object of fields")
    return Row(value, table, number)


def _csv(file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True, restkey="")
        try:
            for values in reader:
                wide, short = "" in values, None in values.values()
                if wide or short:
                    columns = len(reader.fieldnames or ())
                    raise RowError(
                        f"{file}:{reader.line_num} has {'more' if wide else 'fewer'} cells than "
                        f"the {columns} columns of the first line"
                    )
                yield Row(values, str(file), reader.line_num)
        except csv.Error as error:
            raise RowError(f"{file}:{reader.line_num} is not CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise RowError(f"{file} is not UTF-8: {error}") from error


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield Row(values, str(file), number)
    except pyarrow.ArrowException as error:
        raise RowError(f"{file} is not a Parquet file: {error}") from error


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": _csv,
}
