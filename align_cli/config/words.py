"""The words of a command line: Hydra's flags apart from overrides, each override checked."""

import argparse
import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from align_cli.config.nearest import listed, meant
from align_cli.errors import ConfigError

OURS = ("--dry-run", "--json", "--all", "--help")
"""Options that the command line itself has taken out; named only to say what was meant."""


@dataclass(frozen=True)
class Words:
    """A command line in parts."""

    overrides: tuple[str, ...]
    flags: tuple[str, ...] = ()
    """Hydra's flags that only Hydra acts on: --cfg, --info, --resolve, ..."""
    multirun: bool = False
    config_name: str | None = None
    config_dirs: tuple[Path, ...] = ()

    @property
    def only_shows(self) -> bool:
        """Whether Hydra prints something and runs nothing."""
        shows = ("--cfg", "-c", "--info", "-i", "--hydra-help", "--help", "--version")
        return any(flag.split("=")[0] in shows for flag in self.flags)

    def as_argv(self) -> list[str]:
        """The command line again."""
        argv = [*self.flags, *(["--multirun"] if self.multirun else [])]
        for folder in self.config_dirs:
            argv += ["--config-dir", str(folder)]
        if self.config_name is not None:
            argv += ["--config-name", self.config_name]
        return [*argv, *self.overrides]


def read_words(words: Sequence[str]) -> Words:
    """Sort flags from overrides; an unknown flag is refused."""
    parser = get_args_parser()
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            found, strange = parser.parse_known_intermixed_args(list(words))
    except SystemExit:
        text = complaint.getvalue().strip().splitlines()[-1:]
        raise ConfigError(f"the flags in {' '.join(words)!r}: {''.join(text)}") from None
    hydras = [flag for action in parser._actions for flag in action.option_strings]
    known = [*(flag for flag in hydras if flag.startswith("--")), *OURS]
    for flag in strange:
        raise ConfigError(f"{flag}: no such option{meant(flag, known)}")
    if found.config_path or found.experimental_rerun:
        raise ConfigError("--config-path and --experimental-rerun: wanted --config-dir FOLDER")
    if sum(word.split("=")[0] in ("--config-dir", "-cd") for word in words) > 1:
        raise ConfigError(
            "--config-dir: got it twice, wanted one folder; hydra.searchpath adds more"
        )
    if sum((bool(found.cfg), bool(found.multirun), bool(found.info))) > 1:
        raise ConfigError("wanted one of --multirun, --cfg and --info, got more")
    if found.resolve and not found.cfg:
        raise ConfigError("--resolve: wanted together with --cfg")
    folder = Path(found.config_dir).absolute() if found.config_dir else None
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--config-dir: there is no folder {found.config_dir}")
    return Words(
        overrides=tuple(found.overrides),
        flags=tuple(_shown(found)),
        multirun=bool(found.multirun),
        config_name=found.config_name,
        config_dirs=(folder,) if folder is not None else (),
    )


def _shown(found: argparse.Namespace) -> list[str]:
    """The flags that are handed to Hydra as they are."""
    flags = [
        f"--{name.replace('_', '-')}"
        for name in ("hydra_help", "help", "resolve")
        if getattr(found, name)
    ]
    values = [
        f"--{name}={getattr(found, name)}"
        for name in ("cfg", "info", "package")
        if getattr(found, name)
    ]
    return flags + values


@dataclass(frozen=True)
class Vocabulary:
    """What overrides may speak of."""

    scalars: tuple[str, ...]
    nodes: tuple[str, ...]
    """Component nodes of the root."""
    choices: Mapping[str, Sequence[str]]
    """{group: names of its yamls}, experiment-like groups included."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every first word of a legal override."""
        return (*self.scalars, *self.nodes, *(g for g in self.choices if g not in self.nodes))


def parse_override(word: str) -> Override:
    """Hydra's reading of one word, or a `ConfigError` that says what a word looks like."""
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        first = str(error).splitlines()[0]
        if "=" not in word:
            raise ConfigError(f"{word!r}: wanted KEY=VALUE") from None
        raise ConfigError(
            f"{word!r} cannot be read: {first}. Quote what the shell or the grammar would split: "
            "'key=\"text, with comma\"'"
        ) from None


def checked(word: str, vocabulary: Vocabulary) -> str:
    """The override in the form that lets the binding (not Hydra) judge the keys of components.

    Hydra refuses a key that the yaml lacks and advises `+`, which it then accepts unread. Here a
    component's keys are always handed through; the function's signature decides.
    """
    if "=" not in word and not word.startswith("~"):
        raise ConfigError(f"{word!r}: wanted KEY=VALUE{_meant_choice(word, vocabulary)}")
    override = parse_override(word)
    if override.is_hydra_override():
        return word
    key = override.key_or_group
    head, dot, _ = key.partition(".")
    group = head.split("/")[0]
    if group not in vocabulary.keys:
        where = f"{group}: no such key{meant(group, vocabulary.keys)}"
        raise ConfigError(f"{where}; the keys are {listed(vocabulary.keys)}")
    if override.package is not None:
        raise ConfigError(f"{word!r}: {head} has one place in the configuration; leave out the @")
    if override.is_delete():
        return word
    value = word.split("=", 1)[1]
    if key == "from":
        return f"branch={value}"
    if group in vocabulary.nodes and (dot or group not in vocabulary.choices):
        return f"++{key}={value}"
    return f"{key}={value}"


def checked_all(words: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """Every override in its checked form; a key that is given twice is refused."""
    found = [checked(word, vocabulary) for word in words]
    keys = [word.lstrip("+~").split("=")[0] for word in found]
    for key in keys:
        if keys.count(key) > 1:
            both = " and ".join(word for word, its in zip(words, keys, strict=True) if its == key)
            raise ConfigError(f"{key}: got {both}, wanted one of them")
    return found


def check_choice(word: str, vocabulary: Vocabulary) -> None:
    """Refuse a choice that its group does not have; the word has no sweep left in it."""
    override = parse_override(word)
    group = override.key_or_group
    if override.is_delete() or override.is_hydra_override() or group not in vocabulary.choices:
        return
    value: Any = override.value()
    choices = vocabulary.choices[group]
    if group in vocabulary.nodes and not isinstance(value, str):
        hint = " (did you mean 'none'?)" if value is None and "none" in choices else ""
        raise ConfigError(f"{group}: wanted one of {listed(choices)}, got {word!r}{hint}")
    for each in value if isinstance(value, list) else [value]:
        if each is not None and str(each) not in choices:
            raise ConfigError(
                f"{group}={each}: no such choice{meant(str(each), choices)}; "
                f"conf/{group}/ has {listed(choices)}"
            )


def _meant_choice(word: str, vocabulary: Vocabulary) -> str:
    for group, choices in vocabulary.choices.items():
        if word in choices:
            return f" (did you mean '{group}={word}'?)"
    return meant(word, vocabulary.keys)
