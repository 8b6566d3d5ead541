"""The run folder: outputs/NAME, frozen settings, links to stages, one process at a time."""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from align_cli.errors import AlignError, CorruptStage, StaleRun
from align_cli.store.stage import Record, Stage, write_text
from align_cli.store.tables import read_rows

Row = TypeVar("Row")
IDENTITY = ".identity.json"
RUN_ID = ".run_id"


def round_name(round_number: int | None) -> str:
    """`round_03`; the policy before any training lies in `start`."""
    return "start" if round_number is None else f"round_{round_number:02d}"


@dataclass(frozen=True)
class RunFolder:
    """Where one run's artifacts are found, in the order they were made."""

    path: Path

    @classmethod
    @contextmanager
    def opened(
        cls,
        path: Path,
        *,
        config_text: str,
        identity: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> Iterator["RunFolder"]:
        """Create the folder, or go on in one that the same settings made; refuse any other."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / ".lock").open("w")
        except OSError as error:
            raise AlignError(
                f"the run folder {path} cannot be written: {error.strerror or error}; "
                "choose another place with outputs=FOLDER"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlignError(f"{path} is being written by another process") from None
            _freeze(path, config_text, identity)
            write_text(path / "environment.json", json.dumps(environment, indent=1))
            yield cls(path)

    @property
    def run_id(self) -> str:
        """Eight random hex digits drawn when the folder was made: the run's name to trackers."""
        file = self.path / RUN_ID
        if not file.exists():
            write_text(file, secrets.token_hex(4))
        return file.read_text()

    def link(self, place: str, stage: Stage) -> None:
        """Show a finished stage at `place`, e.g. `round_00/4_pairs`, with its record beside it."""
        here = self.path / place
        here.parent.mkdir(parents=True, exist_ok=True)
        target = os.path.relpath(stage.folder, here.parent)
        if here.is_symlink() and os.readlink(here) == target:
            return
        spare = here.with_name(f".{here.name}.part")
        spare.unlink(missing_ok=True)
        spare.symlink_to(target)
        os.replace(spare, here)

    def note(self, place: str, facts: Mapping[str, Any]) -> None:
        """Write `place`.json: what this run knows of the stage. Written last, once."""
        file = self.path / f"{place}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        # The first account stands: on a resumed run a stage made earlier is not "shared".
        if not file.exists():
            write_text(file, json.dumps(facts, indent=1, allow_nan=False))

    def forget(self, place: str) -> None:
        """Take back what was noted, and the links, of a place whose work is no longer the same."""
        (self.path / f"{place}.json").unlink(missing_ok=True)
        here = self.path / place
        links = [here] if here.is_symlink() else list(here.glob("*"))
        for link in links:
            if link.is_symlink():
                link.unlink()

    def facts(self, place: str) -> dict[str, Any] | None:
        """What `note` wrote, or None where the stage is not finished."""
        file = self.path / f"{place}.json"
        if not file.exists():
            return None
        try:
            return dict(json.loads(file.read_text()))
        except ValueError as error:
            raise CorruptStage(
                f"{file} cannot be read ({error}); delete it and run again"
            ) from error


def rows_at(place: Path, table: str, row_type: type[Row]) -> list[Row]:
    """All rows of a table at one place of a run folder; none where there is no such table."""
    # Passes of a sampler are folders; a stage of one piece holds its shards itself. In the order
    # of the passes, because what a later one says of a row stands.
    files = sorted(place.glob(f"{table}-*.parquet")) or sorted(
        place.glob(f"*/{table}-*.parquet"), key=_pass_of
    )
    return [row for file in files for row in read_rows(file, row_type)]


def _pass_of(file: Path) -> tuple[list[int], str]:
    """`pass_2_from_4/labels-00001` -> ([2, 4], ...)."""
    return [int(digits) for digits in re.findall(r"\d+", file.parent.name)], file.name


def rounds_of(path: Path, place: str) -> list[int]:
    """Numbers of the rounds whose stage `place` is finished, in order."""
    notes = path.glob(f"round_*/{place}.json")
    return sorted(int(note.parent.name.removeprefix("round_")) for note in notes)


def in_use(path: Path) -> bool:
    """Whether a process is writing the run folder; a process that was killed is not."""
    try:
        with (path / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def record_facts(records: Mapping[str, Record], *, shared: bool) -> dict[str, Any]:
    """The run's account of one numbered stage, which may be of several stored stages."""
    return {
        "shared": shared,
        "stages": {
            name: {"kind": r.kind, "fingerprint": r.fingerprint, "content": r.content}
            for name, r in records.items()
        },
    }


def _freeze(path: Path, config_text: str, identity: Mapping[str, Any]) -> None:
    file = path / IDENTITY
    if file.exists():
        before = json.loads(file.read_text())
        after = json.loads(json.dumps(identity, default=list))
        if before != after:
            raise StaleRun(
                f"{path} was made by other settings:\n{_difference(before, after)}\n"
                "give this run another name (name=...), or repeat the first words to resume"
            )
        return
    others = [entry.name for entry in path.iterdir() if entry.name != ".lock"]
    if others and "config.yaml" not in others:
        raise StaleRun(
            f"{path} exists and is no run (it holds {sorted(others)[:5]}); name=... another"
        )
    write_text(path / "config.yaml", config_text)
    write_text(file, json.dumps(identity, indent=1, default=list))


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    missing = "(absent)"
    keys = sorted(before.keys() | after.keys())
    changed = [key for key in keys if before.get(key, missing) != after.get(key, missing)]
    return "\n".join(
        f"  {key}: folder has {before.get(key, missing)}, asked for {after.get(key, missing)}"
        for key in changed
    )
