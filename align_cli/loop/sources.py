"""Files that a component's settings point at: when they change, its stage is made again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from align_cli.loop.context import Part

BUNDLED = "package:"
PACKAGE = Path(__file__).resolve().parent.parent

Stamp = list[tuple[str, str, int, int]]
"""(setting, file, bytes, time of change in ns)"""


def stamp(settings: Mapping[str, Any]) -> Stamp:
    """Size and time of every local file that a text setting names, itself or as its folder.

    Not a hash: weights of many gigabytes are not read for it. A file that was only touched makes
    the stage again, and equal content is then shared again from there on.
    """
    found: Stamp = []
    for name, value in sorted(settings.items()):
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and text:
                found += [(name, file.name, *_state(file)) for file in _files(text)]
    return found


def model_facts(part: Part, versions: Mapping[str, str]) -> dict[str, Any]:
    """What a component's results depend on where it reads a model: its files, the arithmetic.

    Nothing for a component that brings no model.
    """
    if "device" not in part.needs:
        return {}
    return {"source": stamp(part.settings), "versions": dict(versions)}


def _files(value: str) -> list[Path]:
    if value.startswith(BUNDLED):
        place = PACKAGE / "policy" / value.removeprefix(BUNDLED)
    else:
        place = Path(value).expanduser()
    try:
        if place.is_dir():
            return sorted(file for file in place.iterdir() if file.is_file())
        return [place] if place.is_file() else []
    except OSError:
        # A text that cannot be a path (too long, say) names no file.
        return []


def _state(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns
