"""A study file with a `lab`: the experiment and its settings, checked as any component is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_cli.config.build import Binding, bind
from align_cli.config.grid import read_yaml
from align_cli.config.nearest import listed, meant
from align_cli.config.words import parse_override
from align_cli.errors import ConfigError
from align_cli.lab.experiment import Experiment
from align_cli.study.grid import LAB

KEYS = ("question", LAB)
OUTPUTS = "outputs"


@dataclass(frozen=True)
class ExactStudy:
    """A question, and the experiment that answers it."""

    name: str
    """Its folder under `outputs`."""
    question: str
    outputs: Path
    lab: Binding

    @property
    def folder(self) -> Path:
        """The study's own folder."""
        return self.outputs / self.name

    def as_values(self) -> dict[str, Any]:
        """The study with every default filled in, as plain values."""
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in self.lab.settings.items()}
        return {"question": self.question, LAB: {"_target_": self.lab.target, **settings}}

    def experiment(self) -> Experiment:
        """Import the lab and lay out the cells; what cannot be computed is refused here."""
        found = self.lab.load()()
        assert isinstance(found, Experiment), f"{self.lab.target} gives no Experiment"
        if not found.cells:
            empty = [name for name, value in self.lab.settings.items() if value == ()]
            raise ConfigError(f"{self.name}: no cell is left; lab.{empty[0]} is empty")
        return found


def load_exact(file: Path, words: Sequence[str] = (), *, name: str | None = None) -> ExactStudy:
    """The study of a file; `words` (lab.seeds=5, or seeds=5) replace its settings."""
    values = read_yaml(file)
    for key in values:
        if key not in KEYS:
            raise ConfigError(
                f"{file}: {key}: no such key{meant(key, KEYS)}; a study that the lab computes has "
                f"{listed(KEYS)}"
            )
    question, node = values.get("question"), values[LAB]
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(f"{file}: question: got {question!r}, wanted a sentence")
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(
            f"{file}: lab: got {node!r}, wanted its settings and the experiment that they are of: "
            "`_target_: align_cli.lab.studies.FILE.FUNCTION`"
        )
    choice = name or file.stem
    settings = dict(node)
    outputs = Path(OUTPUTS)
    known = bind(settings, group=LAB, choice=choice).settings
    for word in words:
        key, value = _read(word, known)
        if key == OUTPUTS:
            outputs = Path(value)
        else:
            settings[key] = value
    return ExactStudy(
        name=choice,
        question=" ".join(question.split()),
        outputs=outputs,
        lab=bind(settings, group=LAB, choice=choice),
    )


def _read(word: str, known: Mapping[str, Any]) -> tuple[str, Any]:
    """(setting, value) of one word, which is plain: nothing is swept, added or taken away."""
    override = parse_override(word)
    if override.is_sweep_override() or override.is_add() or override.is_delete():
        raise ConfigError(f"{word!r}: wanted SETTING=VALUE; several values are a list: [1, 2]")
    key = str(override.key_or_group)
    name = key.removeprefix(f"{LAB}.")
    if name in known or key == OUTPUTS:
        return name, override.value()
    choices = [OUTPUTS, *known]
    raise ConfigError(
        f"{word!r}: the study has no setting {name}{meant(name, choices)}; it has {listed(choices)}"
    )
