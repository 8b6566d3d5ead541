"""Rows <-> Parquet: the schema is the dataclass, and equal rows give equal bytes."""

import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from align_cli.errors import CorruptStage

Row = TypeVar("Row")

_PLAIN = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
# Token ids and log-probs fill the disk, so inside lists they take four bytes.
_IN_LISTS = {**_PLAIN, int: pa.int32(), float: pa.float32()}
_EXACT = {"scores", "member_logps", "member_scores", "member_weights"}
"""Lists of a few numbers that are computed with, kept as exactly as single numbers are."""


def schema_of(row_type: Any) -> Any:
    """The Arrow schema of a row dataclass, its name kept in the file's metadata."""
    hints = typing.get_type_hints(row_type)
    columns = []
    for field in fields(row_type):
        in_lists = _PLAIN if field.name in _EXACT else _IN_LISTS
        arrow, nullable = _arrow_type(hints[field.name], _PLAIN, in_lists)
        # Keys of random streams use all 64 bits.
        arrow = pa.uint64() if field.name == "seed" else arrow
        columns.append(pa.field(field.name, arrow, nullable=nullable))
    return pa.schema(columns, metadata={"align.row": row_type.__name__})


def _arrow_type(
    hint: Any, plain: dict[type, Any], in_lists: dict[type, Any] = _IN_LISTS
) -> tuple[Any, bool]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        return _arrow_type(inner[0], plain, in_lists)[0], True
    if origin is Literal:
        return pa.string(), False
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0], in_lists)[0]), False
    if is_dataclass(hint):
        inner_hints = typing.get_type_hints(hint)
        return pa.struct(
            [(field.name, _arrow_type(inner_hints[field.name], plain)[0]) for field in fields(hint)]
        ), False
    return plain[hint], False


def write_rows(file: Path, rows: Sequence[Any], row_type: type) -> None:
    """Write rows to `file`, which must not be one that others already read."""
    names = [field.name for field in fields(row_type)]
    columns = {name: [_plain(getattr(row, name)) for row in rows] for name in names}
    table = pa.Table.from_pydict(columns, schema=schema_of(row_type))
    pq.write_table(table, file, compression="zstd")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [_plain(item) for item in value]
    return value


def read_rows(file: Path, row_type: type[Row]) -> list[Row]:
    """Rows of a file this module wrote; every invariant of the row type is checked again."""
    try:
        table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptStage(
            f"{file} cannot be read as Parquet ({error}); delete its folder to make it again"
        ) from error
    wanted, optional = schema_of(row_type).names, _optional(row_type)
    # What a later version added says nothing of earlier rows, which had no such thing.
    if [n for n in wanted if n in table.schema.names or n not in optional] != table.schema.names:
        raise CorruptStage(
            f"{file} holds columns {table.schema.names}, wanted {wanted}; "
            "another version wrote it: delete its folder to make it again"
        )
    hints = typing.get_type_hints(row_type)
    columns = [_restore(column.to_pylist(), hints[name]) for name, column in _columns(table)]
    names = table.schema.names
    return [
        row_type(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)
    ]


def _optional(row_type: Any) -> set[str]:
    return {field.name for field in fields(row_type) if field.default is not MISSING}


def _columns(table: Any) -> list[tuple[str, Any]]:
    return [(name, table.column(name)) for name in table.schema.names]


def _restore(values: list[Any], hint: Any) -> list[Any]:
    """Lists back to tuples and structs back to dataclasses."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = next(a for a in typing.get_args(hint) if a is not type(None))
        return [None if value is None else _restore([value], inner)[0] for value in values]
    if typing.get_origin(hint) is tuple:
        item: Callable[..., Any] = typing.get_args(hint)[0]
        if is_dataclass(item):
            return [tuple(item(**entry) for entry in value) for value in values]
        return [tuple(value) for value in values]
    if is_dataclass(hint):
        return [hint(**entry) for entry in values]  # type: ignore[operator]
    return values
