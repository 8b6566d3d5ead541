"""Putting a loss together: every chosen part takes its settings, and none is left untaken."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from align_cli.errors import ConfigError

Part = Callable[..., Any]
"""A pure function: data by position, settings by keyword; a setting without default is needed."""


class Assembly:
    """The parts of one loss and the settings that are given, those that are not None."""

    def __init__(self, **settings: Any) -> None:
        self._given = {name: value for name, value in settings.items() if value is not None}
        self._read: set[str] = set()
        self._chosen: list[str] = []
        self._offered: list[tuple[str, str, set[str]]] = []

    def part(self, kind: str, name: str, menu: Mapping[str, Part]) -> Part:
        """The part `kind=name` with its settings filled in; a missing one is refused."""
        if name not in menu:
            raise ConfigError(f"loss.{kind}: got {name!r}, wanted one of {sorted(menu)}")
        wanted = settings_of(menu[name])
        for setting, needed in wanted.items():
            if needed and setting not in self._given:
                raise ConfigError(
                    f"loss.{setting}: {kind}={name} needs it; give it as loss.{setting}=VALUE"
                )
        self._read |= wanted.keys()
        self._chosen.append(f"{kind}={name}")
        self._offered += [(kind, other, set(settings_of(menu[other]))) for other in menu]
        filled = {setting: self._given[setting] for setting in wanted if setting in self._given}
        return partial(menu[name], **filled)

    def close(self, *used: str) -> None:
        """Refuse a setting that no chosen part reads; `used` are those the loss itself reads."""
        for name, value in self._given.items():
            if name in self._read or name in used:
                continue
            readers = [f"{kind}={part}" for kind, part, read in self._offered if name in read]
            raise ConfigError(
                f"loss.{name} is {value}, but {', '.join(self._chosen)} read no such setting; "
                f"set it to null, or choose one that reads it: {', '.join(readers)}"
            )


def settings_of(part: Part) -> dict[str, bool]:
    """{setting: whether it is needed} of a part."""
    return {
        name: parameter.default is parameter.empty
        for name, parameter in inspect.signature(part).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
