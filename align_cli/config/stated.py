"""What a source states of its protocol, beside what a run that is named after it does.

An experiment's yaml declares it in its head, in comments that are themselves yaml:

    # Source: who published the protocol
    # Stated:
    #   sampler.n: 8                     a setting
    #   pairing: best_worst              a choice
    #   prompts per round: 20,000        words where a run has no such setting
    # Inferred: {schedule.weight_decay: 0.0}     as Stated, but read from a default or a relative
    # Missing:
    #   filter: words                  how to have what the preset by itself runs without
    # Unknown: [sampler.hint]                    what the sources at hand do not say
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from align_cli.config.catalogue import headed
from align_cli.config.folders import choice_files, conf_dir
from align_cli.config.refusal import explained
from align_cli.config.schema import Frozen
from align_cli.config.words import parse_override
from align_cli.errors import ConfigError

SECTIONS = ("Stated", "Inferred", "Missing", "Unknown")
ABSENT = "(no such setting here)"


@dataclass(frozen=True)
class Statement:
    """One value of the source beside the run's."""

    key: str
    stated: Any
    here: Any
    """The effective value; ABSENT where the run's choices have no such setting."""
    inferred: bool

    @property
    def differs(self) -> bool:
        """Whether the run does otherwise."""
        return bool(self.stated != self.here)


@dataclass(frozen=True)
class Compared:
    """An experiment's source beside a run."""

    experiment: str
    source: str
    statements: tuple[Statement, ...]
    words: Mapping[str, str]
    """{aspect: what the source says}, where a run has no setting to compare."""
    unknown: Mapping[str, Any]
    """{what the sources at hand do not say: the run's value, ABSENT where that is no setting}"""
    missing: Mapping[str, str]
    """{what the run does without: how to have it}; only what differs from the source."""

    @property
    def differences(self) -> list[Statement]:
        """What the run does otherwise than stated or inferred."""
        return [each for each in self.statements if each.differs]

    @property
    def kept(self) -> list[Statement]:
        """What it does as stated or inferred."""
        return [each for each in self.statements if not each.differs]


def experiments_of(words: Sequence[str]) -> list[str]:
    """The names of the experiments that a command line's overrides choose."""
    names: list[str] = []
    for word in words:
        override = parse_override(word)
        if override.key_or_group == "experiment" and not override.is_delete():
            value = override.value()
            names += [str(each) for each in (value if isinstance(value, list) else [value]) if each]
    return names


def compared(name: str, config: Frozen, folders: Sequence[Path] = ()) -> Compared | None:
    """The experiment's statements beside this run; None where its yaml states nothing."""
    file = choice_files("experiment", folders or [conf_dir()])[name]
    sections = declared(file)
    if not sections:
        return None
    settings = config.identity()
    statements: list[Statement] = []
    words: dict[str, str] = {}
    for section in ("Stated", "Inferred"):
        for key, value in sections.get(section, {}).items():
            inferred = section == "Inferred"
            if key in config.choices:
                statements.append(Statement(key, value, config.choices[key], inferred))
            elif "." in key:
                statements.append(Statement(key, value, settings.get(key, ABSENT), inferred))
            else:
                words[key] = f"{value} (inferred)" if inferred else str(value)
    here = {**settings, **config.choices}
    unknown = {str(key): here.get(str(key), ABSENT) for key in sections.get("Unknown", ())}
    differing = {each.key for each in statements if each.differs}
    missing = {
        key: str(text) for key, text in sections.get("Missing", {}).items() if key in differing
    }
    return Compared(name, headed(file, "Source: "), tuple(statements), words, unknown, missing)


def declared(file: Path) -> dict[str, Any]:
    """{section: what it holds} of a yaml's head; empty where there is none."""
    head: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line.removeprefix("#").removeprefix(" "))
    first = next((at for at, line in enumerate(head) if _section(line)), None)
    if first is None:
        return {}
    with explained(None):
        found = OmegaConf.to_container(OmegaConf.create("\n".join(head[first:])))
    if not isinstance(found, dict) or not set(found) <= set(SECTIONS):
        raise ConfigError(f"{file}: its head must hold {', '.join(SECTIONS)} and nothing after")
    return {str(key): value for key, value in found.items() if value}


def _section(line: str) -> bool:
    return re.match(rf"({'|'.join(SECTIONS)}):", line) is not None
