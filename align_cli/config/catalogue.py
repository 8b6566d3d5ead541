"""What there is to choose from, and what each choice does: read from conf/ and source, no torch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from align_cli.config.compose import composed_node
from align_cli.config.folders import choice_files, conf_dir, group_names
from align_cli.config.kinds import Kind
from align_cli.config.nearest import listed, meant
from align_cli.config.offers import OFFERS, loop_settings
from align_cli.config.presets import preset
from align_cli.config.signature import COMPUTED, REQUIRED, Setting, signature_of
from align_cli.errors import ConfigError

WHOLE_RUNS = {
    "experiment": "named runs: any keys of conf/config.yaml",
    "recipe": "named warm starts: any keys of conf/sft.yaml",
}
"""Groups whose yamls override the whole configuration."""

COMMENTED = re.compile(
    r"""^(?P<key>\w+):\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^#"']*?)\s*\#\s*(?P<comment>.*)$"""
)


@dataclass(frozen=True)
class Choice:
    """One yaml of a group."""

    group: str
    name: str
    summary: str
    file: Path
    source: str = ""
    """Who published it, if the yaml says so in its head."""
    formula: str = ""
    """What it computes at the yaml's choices, if the yaml says so in its head."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """{group: choice} of other groups that come with it, unless the user chooses there."""

    @property
    def line(self) -> str:
        """The choice in one line, as `align list` prints it."""
        return f"{self.summary} ({self.source})" if self.source else self.summary


@dataclass(frozen=True)
class SettingRow:
    """One setting of a choice, as `align explain` prints it."""

    name: str
    value: Any
    kind: str
    limits: str
    unit: str
    comment: str


@dataclass(frozen=True)
class Explanation:
    """A choice, its function's own words, and its settings."""

    choice: Choice
    target: str
    docstring: str
    needs: tuple[str, ...]
    settings: tuple[SettingRow, ...]


def folders(config_dirs: Sequence[Path] = ()) -> list[Path]:
    """The shipped conf/ and the user's."""
    return [conf_dir(), *config_dirs]


def groups(config_dirs: Sequence[Path] = ()) -> list[str]:
    """Every group that can be chosen from, in the order of the data."""
    order = [*OFFERS, *WHOLE_RUNS]
    found = [name for name in group_names(folders(config_dirs)) if name in order]
    return sorted(found, key=order.index)


def choices(group: str, config_dirs: Sequence[Path] = ()) -> list[Choice]:
    """The choices of a group in name order; an unknown group is refused."""
    known = groups(config_dirs)
    if group not in known:
        raise ConfigError(f"{group}: no such group{meant(group, known)}; groups: {listed(known)}")
    files = choice_files(group, folders(config_dirs))
    return [_choice(group, name, file) for name, file in files.items()]


def _choice(group: str, name: str, file: Path) -> Choice:
    source, formula = headed(file, "Source: "), headed(file, "loss = ")
    # Whole runs override whatever they name; a choice may set little beyond its own group.
    sets = {} if group in WHOLE_RUNS else preset(file).sets
    return Choice(group, name, summary(file), file, source, formula, sets)


def summary(file: Path) -> str:
    """The first line of a yaml if it is a comment: what the choice is for."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        return line.removeprefix("#").strip() if line.startswith("#") else ""
    return ""


def headed(file: Path, word: str) -> str:
    """What the comments before a yaml's first key say after `# WORD`, or an empty text."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if line.startswith(f"# {word}"):
            return line.removeprefix(f"# {word}").strip()
    return ""


def explain(group: str, name: str, config_dirs: Sequence[Path] = ()) -> Explanation:
    """All there is to know of one choice, without importing its function."""
    found = {choice.name: choice for choice in choices(group, config_dirs)}
    if name not in found:
        raise ConfigError(
            f"{group}={name}: no such choice{meant(name, found)}; conf/{group}/ has {listed(found)}"
        )
    choice = found[name]
    if group in WHOLE_RUNS:
        return Explanation(choice, "", choice.file.read_text(encoding="utf-8"), (), ())
    node = composed_node(group, name, config_dirs)
    signature = signature_of(str(node.get("_target_")))
    comments = yaml_comments(choice.file)
    wanted = {**signature.settings, **loop_settings(group, signature.needs)}
    rows = [_row(setting, node, comments) for setting in wanted.values()]
    return Explanation(choice, signature.target, signature.docstring, signature.needs, tuple(rows))


def yaml_comments(file: Path) -> dict[str, str]:
    """{key: its comment} of the top-level keys of a yaml and of the yamls it is based on."""
    text = file.read_text(encoding="utf-8")
    comments: dict[str, str] = {}
    for base in re.findall(r"^\s+-\s+([\w./-]+)\s*$", text.partition("_self_")[0], re.MULTILINE):
        beside = file.parent / f"{base}.yaml"
        if beside.is_file() and beside != file:
            comments |= yaml_comments(beside)
    found = (COMMENTED.match(line) for line in text.splitlines())
    return comments | {each["key"]: each["comment"] for each in found if each}


def _row(setting: Setting, node: dict[str, Any], comments: dict[str, str]) -> SettingRow:
    value = node.get(setting.name, setting.default)
    if value is REQUIRED or value is COMPUTED:
        value = f"({value!r})"
    return SettingRow(
        name=setting.name,
        value=value,
        kind=str(setting.kind),
        limits=" ".join(dict.fromkeys(_limits(setting.kind))),
        unit=setting.kind.unit,
        comment=comments.get(setting.name, ""),
    )


def _limits(kind: Kind) -> list[str]:
    own = [each.text for each in kind.ranges]
    return own + [text for part in kind.parts for text in _limits(part)]
