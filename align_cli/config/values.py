"""Plain values as the words of a command line."""

import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z_][\w./+-]*")
READ_OTHERWISE = re.compile(r"null|true|false|nan|inf", re.IGNORECASE)
"""Texts that the grammar takes for values of another type."""


def word_of(key: str, value: Any) -> str:
    """`key=value` in Hydra's grammar, such that it is read back as the same value."""
    return f"{key}={_written(value)}"


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{','.join(_written(item) for item in value)}]"
    if isinstance(value, Mapping):
        inside = (f"{_written(str(key))}:{_written(item)}" for key, item in value.items())
        return f"{{{','.join(inside)}}}"
    if isinstance(value, str) and (not BARE.fullmatch(value) or READ_OTHERWISE.fullmatch(value)):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)
