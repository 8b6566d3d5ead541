"""One record of a file or data set, and how its fields are read."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from align_cli.errors import RowError


@dataclass(frozen=True, slots=True)
class Row:
    """A record and where it stands."""

    values: Mapping[str, Any]
    table: str
    """The file's path, or `owner/name:split` of a data set."""
    number: int
    """Line of a text file, else row; both count from 1."""

    @property
    def place(self) -> str:
        """Where to look it up, for an error message."""
        return f"{self.table}:{self.number}"

    @property
    def source(self) -> str:
        """Where to look it up, the same on every machine."""
        return f"{self.table.replace(chr(92), '/').rpartition('/')[2]}:{self.number}"


class Absent(RowError):
    """A field that the row does not have."""


def field(row: Row, name: str) -> Any:
    """The value of a field; dots lead into nested objects and lists: `answer.0.text`."""
    if name in row.values:
        return row.values[name]
    value: Any = row.values
    for part in name.split("."):
        choices = _choices(value)
        if part not in choices:
            raise Absent(_absent(row, name, part, choices))
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _choices(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    return [str(index) for index in range(len(value))] if isinstance(value, list) else []


def _absent(row: Row, name: str, part: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(part, choices, n=1, cutoff=0.5)
    what = f"no field {name!r}" if name == part else f"no field {part!r} of {name!r}"
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"{row.place} has {what}; it has {', '.join(choices) or 'none'}{meant}"


def text_of(row: Row, name: str) -> str | None:
    """A field as text: None where it is null or blank, 145.0 as `145`."""
    value = field(row, name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value) if str(value).strip() else None
    raise RowError(
        f"{row.place}: field {name!r} is a {type(value).__name__}, wanted text or a number; name "
        f"one of its items ({', '.join(f'{name}.{choice}' for choice in _choices(value)[:4])})"
    )
