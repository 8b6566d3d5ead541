"""One stage in the store: shards that are complete or absent, and a record that is written last.

    outputs/.store/completions/3fa2.../rows-00000.parquet  rows-00001.parquet  record.json

The folder is named by the fingerprint of everything the stage is made from, so equal work is found
and shared. A folder without a record is unfinished: its shards are kept and the rest is made.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from align_cli.errors import AlignError, CorruptStage
from align_cli.store import fingerprint
from align_cli.store.cost import Cost
from align_cli.store.tables import read_rows, write_rows

Row = TypeVar("Row")
RECORD = "record.json"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a finished stage says of itself; its existence means the stage is whole."""

    kind: str
    fingerprint: str
    """Of `made_from`."""
    content: str
    """Of the bytes that came out; later stages are made from this."""
    made_from: Mapping[str, Any]
    files: Mapping[str, str]
    """{file: sha256}"""
    rows_in: int
    rows_out: int
    dropped: Mapping[str, int]
    """{reason: rows}; rows_in = rows_out + sum(dropped) where the stage filters."""
    metrics: Mapping[str, float]
    cost: Mapping[str, float]


@dataclass(frozen=True)
class Stage:
    """A place for the rows of one piece of work, complete or not."""

    folder: Path
    kind: str
    made_from: Mapping[str, Any]
    made_here: list[bool] = field(default_factory=lambda: [False])
    """Whether this process made any part of it."""

    @cached_property
    def fingerprint(self) -> str:
        """Names the stage; equal for equal work."""
        return fingerprint.of_value(self.made_from)

    @property
    def complete(self) -> bool:
        """Whether the record is there."""
        return (self.folder / RECORD).is_file()

    @property
    def record(self) -> Record:
        """The record of a complete stage."""
        file = self.folder / RECORD
        try:
            return Record(**json.loads(file.read_text()))
        except (ValueError, TypeError) as error:
            raise CorruptStage(
                f"{file} cannot be read ({error}); delete {self.folder} to make it again"
            ) from error

    @contextmanager
    def making(self) -> Iterator[None]:
        """Hold the stage's lock; a second process waits here and then finds the stage complete.

        The lock belongs to the process, so it ends with it, however the process ends.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def has(self, shard: str) -> bool:
        """Whether a shard is there (and so whole)."""
        return (self.folder / f"{shard}.parquet").is_file()

    def write(self, shard: str, rows: Sequence[Any], row_type: type, cost: Cost) -> None:
        """Add one shard: its cost beside it first, then the rows, moved into place at the end."""
        self.made_here[0] = True
        write_text(self.folder / f"{shard}.cost.json", json.dumps(cost.to_json()))
        file = self.folder / f"{shard}.parquet"
        part = file.with_suffix(".part")
        write_rows(part, rows, row_type)
        settle(part, file)

    def read(self, shard: str, row_type: type[Row]) -> list[Row]:
        """The rows of one shard; bytes are checked against the record where there is one."""
        file = self.folder / f"{shard}.parquet"
        if self.complete:
            self._check(file)
        return read_rows(file, row_type)

    def read_all(self, table: str, row_type: type[Row]) -> list[Row]:
        """All rows of a table, shard after shard."""
        names = sorted(file.stem for file in self.folder.glob(f"{table}-*.parquet"))
        return [row for name in names for row in self.read(name, row_type)]

    def _check(self, file: Path) -> None:
        wanted = self.record.files.get(file.name)
        if wanted is None or not file.is_file() or fingerprint.of_bytes(file) != wanted:
            raise CorruptStage(
                f"{file} is not what was written (sha256 differs from {RECORD}); "
                f"delete {self.folder} and run again to make the stage again"
            )

    def finish(
        self,
        *,
        rows_in: int,
        rows_out: int,
        dropped: Mapping[str, int] | None = None,
        metrics: Mapping[str, float] | None = None,
        extra_cost: Cost | None = None,
    ) -> Record:
        """Write the record: from here on the stage exists."""
        self.made_here[0] = True
        cost = extra_cost or Cost()
        asides = sorted(self.folder.glob("*.cost.json"))
        for aside in asides:
            cost.add(Cost.from_json(json.loads(aside.read_text())))
        files = fingerprint.of_files(self._content_files(), within=self.folder)
        record = Record(
            kind=self.kind,
            fingerprint=self.fingerprint,
            content=fingerprint.of_value(files),
            made_from=self.made_from,
            files=files,
            rows_in=rows_in,
            rows_out=rows_out,
            dropped=dict(dropped or {}),
            metrics=dict(metrics or {}),
            cost=cost.to_json(),
        )
        text = json.dumps(record.__dict__, indent=1, allow_nan=False, default=list)
        write_text(self.folder / RECORD, text)
        for aside in asides:
            aside.unlink()
        return record

    def _content_files(self) -> list[Path]:
        skipped = {RECORD, ".lock"}
        return [
            file
            for file in self.folder.rglob("*")
            if file.is_file()
            and file.name not in skipped
            and not file.name.endswith((".cost.json", ".part", ".jsonl"))
        ]


@dataclass(frozen=True)
class Store:
    """All stages of an outputs folder, by kind and fingerprint."""

    root: Path

    def stage(self, kind: str, made_from: Mapping[str, Any]) -> Stage:
        """The place of this work, whether or not it has been done."""
        return Stage(self.root / kind / fingerprint.of_value(made_from), kind, made_from)


def write_text(file: Path, text: str) -> None:
    """Replace a small file in one move, so that a reader sees the whole of it or none."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(text)
    settle(part, file)


def settle(part: Path, file: Path) -> None:
    """Force a written file to disk, then give it its name."""
    try:
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(part, file)
    except OSError as error:
        raise AlignError(f"{file} cannot be written: {error}") from error
