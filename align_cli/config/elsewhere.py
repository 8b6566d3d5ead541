"""Jobs that a launcher runs in other processes: how each ended, told through files.

Hydra's launchers hand back nothing but the first failure, and stop at a worker that was killed.
So each job leaves a note in a folder of this start's own, under `outputs` since other machines
must see it, and who launched them reads the notes when the launcher has returned.
"""

import json
import secrets
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_cli.errors import AlignError


class FailedElsewhere(AlignError):
    """A job that another process ran has failed; the message is that process's own."""


@dataclass(frozen=True)
class Notes:
    """The notes of one start."""

    folder: Path

    def write(self, number: int, error: Exception | None) -> None:
        """In the job's process: how it ended."""
        facts: dict[str, Any] = {"error": None}
        if error is not None:
            expected = isinstance(error, AlignError)
            facts = {
                "error": f"{type(error).__name__}: {error}",
                "traceback": "" if expected else "".join(traceback.format_exception(error)),
            }
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{number}.part"
        part.write_text(json.dumps(facts))
        part.rename(self.folder / f"{number}.json")

    @property
    def any(self) -> bool:
        """Whether some job has ended, well or not."""
        return self.folder.is_dir() and bool(list(self.folder.glob("*.json")))

    def failure(self, number: int, otherwise: str) -> Exception | None:
        """Why a job failed; `otherwise` says what is known where it left no note."""
        file = self.folder / f"{number}.json"
        if not file.is_file():
            return FailedElsewhere(f"its process ended without a word ({otherwise})")
        facts = json.loads(file.read_text())
        if facts["error"] is None:
            return None
        return FailedElsewhere(f"{facts['error']}\n{facts['traceback']}".strip())


@contextmanager
def notes(outputs: str) -> Iterator[Notes]:
    """A folder for notes that is gone afterwards."""
    folder = Path(outputs).absolute() / ".multirun" / f"ended-{secrets.token_hex(4)}"
    try:
        yield Notes(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
