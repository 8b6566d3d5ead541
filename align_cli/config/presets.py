"""What a choice's yaml stands on: yamls beside it, and the choice of another group that it sets.

    defaults:
      - base                                            # the settings of GROUP=base
      - override /pairing@_global_.pairing: siblings    # pairing=siblings, unless the user chooses
      - _self_

Anything else in such a list is refused: a choice does not change what it does not name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from align_cli.config.folders import choice_files
from align_cli.config.nearest import listed
from align_cli.errors import ConfigError

SETTABLE = ("pairing",)
"""Groups that a choice of another group may set: those that only one of them can serve."""
OVERRIDE = re.compile(r"override /?(?P<group>[\w/]+)(?:@(?P<place>[\w.]+))?")


@dataclass(frozen=True)
class Preset:
    """The `defaults` of one choice's yaml."""

    bases: tuple[str, ...] = ()
    """Names of yamls beside it, without `_self_`."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """{group: choice}"""


def preset(file: Path) -> Preset:
    """Read and check the `defaults` list of a choice's yaml."""
    text = file.read_text(encoding="utf-8")
    if not re.search(r"^defaults\s*:", text, re.MULTILINE):
        return Preset()
    entries = _loaded(file, text).get("defaults")
    if not isinstance(entries, list):
        raise ConfigError(f"{file}: defaults is {entries!r}, wanted a list")
    bases = [entry for entry in entries if isinstance(entry, str) and entry != "_self_"]
    sets: dict[str, str] = {}
    for entry in entries:
        if not isinstance(entry, str):
            sets |= _override(entry, file)
    return Preset(tuple(bases), sets)


def _override(entry: Any, file: Path) -> dict[str, str]:
    if isinstance(entry, dict) and len(entry) == 1:
        [(key, choice)] = entry.items()
        found = OVERRIDE.fullmatch(str(key))
        if (
            found is not None
            and found["group"] in SETTABLE
            and found["place"] == f"_global_.{found['group']}"
            and isinstance(choice, str)
        ):
            return {found["group"]: choice}
    forms = listed(f"`override /{group}@_global_.{group}: CHOICE`" for group in SETTABLE)
    raise ConfigError(
        f"{file}: {entry!r} in defaults; wanted the name of a yaml beside it, _self_, or {forms}"
    )


def node_of(group: str, choice: str, folders: Sequence[Path]) -> dict[str, Any]:
    """The settings of a choice, those of the yamls it is based on below its own."""
    file = choice_files(group, folders)[choice]
    node: dict[str, Any] = {}
    for base in preset(file).bases:
        node |= node_of(group, base, folders)
    own = _loaded(file, file.read_text(encoding="utf-8"))
    return node | {key: value for key, value in own.items() if key != "defaults"}


def target_of(file: Path) -> str | None:
    """The function that a choice's yaml names, itself or through the yamls it is based on."""
    target = _loaded(file, file.read_text(encoding="utf-8")).get("_target_")
    if isinstance(target, str):
        return target
    beside = [file.parent / f"{base}.yaml" for base in preset(file).bases]
    found = [target_of(each) for each in beside if each.is_file() and each != file]
    return next((each for each in found if each is not None), None)


def check_presets(chosen: Iterable[tuple[str, str]], folders: Sequence[Path]) -> None:
    """Refuse what the yamls of these (group, choice) may not hold in `defaults`."""
    for group, name in dict.fromkeys(chosen):
        if (file := choice_files(group, folders).get(name)) is not None:
            preset(file)


def _loaded(file: Path, text: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
    return values if isinstance(values, dict) else {}
