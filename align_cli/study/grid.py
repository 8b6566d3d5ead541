"""The cells of a study: every point of its grid at every seed, composed before anything runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_cli.config.grid import compose_each, key_of, keys, read_yaml
from align_cli.errors import ConfigError
from align_cli.study.naming import name_of
from align_cli.study.spec import Study, read_study

if TYPE_CHECKING:
    from align_cli.config.schema import RunConfig

LAB = "lab"
"""The key of a study file that names an experiment of the lab in place of a grid."""
SHOWN = 4
"""Names of cells that a message lists before it counts the rest."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a study."""

    choices: Mapping[str, str]
    """{axis: label}"""
    seed: int
    words: tuple[str, ...]
    config: "RunConfig"

    @property
    def name(self) -> str:
        """What it is apart from the seed: cells of one name are the seeds of one condition."""
        return name_of(self.choices)

    @property
    def title(self) -> str:
        """Name and seed, for people."""
        return f"{self.name} seed={self.seed}"

    @cached_property
    def run(self) -> str:
        """Its folder under `outputs`: named by what it is, so that studies share runs."""
        return self.config.run_name()

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.config.outputs) / self.run


@dataclass(frozen=True)
class Grid:
    """A study with its cells."""

    study: Study
    cells: tuple[Cell, ...]
    """Seeds vary fastest: neighbours share no stage, so that they do not wait for each other."""

    @property
    def outputs(self) -> Path:
        """The folder of all runs."""
        return Path(self.cells[0].config.outputs)

    @property
    def folder(self) -> Path:
        """The study's own folder."""
        return self.outputs / self.study.name


def is_exact(file: Path) -> bool:
    """Whether the cells of a study are computed by the lab, instead of being runs."""
    return LAB in read_yaml(file)


def load_grid(
    file: Path,
    words: Sequence[str] = (),
    *,
    name: str | None = None,
    config_dirs: Sequence[Path] = (),
) -> Grid:
    """The study of a file; `words` replace words of its base, or are added to them."""
    vocabulary = keys(config_dirs)
    values = read_yaml(file)
    study = read_study(values, name=name or file.stem, where=str(file), words=vocabulary.keys)
    return grid_of(_extended(study, words), config_dirs)


def grid_of(study: Study, config_dirs: Sequence[Path] = ()) -> Grid:
    """Every cell, composed and checked; all that do not compose are refused together."""
    points = [c for c in _points(study) if not _excluded(study, c)]
    if not points:
        raise ConfigError(f"{study.name}: the grid is empty: `exclude` leaves no cell")
    planned = [
        (choices, seed, _words_of(study, choices, seed))
        for choices in points
        for seed in study.seeds
    ]
    composed = compose_each([words for _, _, words in planned], config_dirs)
    cells: list[Cell] = []
    refused: dict[str, list[str]] = {}
    for (choices, seed, words), config in zip(planned, composed, strict=True):
        if isinstance(config, ConfigError):
            refused.setdefault(str(config), []).append(f"{name_of(choices)} seed={seed}")
        else:
            cells.append(Cell(choices=choices, seed=seed, words=words, config=config))
    _rehearse(cells, refused)
    if refused:
        raise ConfigError(_listed(study, refused, len(planned)))
    _refuse_twins(study, cells)
    return Grid(study, tuple(cells))


def _extended(study: Study, words: Sequence[str]) -> Study:
    """The study with words of the command line in its base."""
    for word in words:
        if word.lstrip("+~").split("=")[0] in ("seed", "name"):
            raise ConfigError(
                f"{word!r}: a study's seeds are in its file, and --name names its folder"
            )
    mine = {key_of(word) for word in words}
    kept = tuple(word for word in study.base if key_of(word) not in mine)
    return replace(study, base=(*kept, *words))


def _points(study: Study) -> Iterator[dict[str, str]]:
    for labels in product(*study.axes.values()):
        yield dict(zip(study.axes, labels, strict=True))


def _excluded(study: Study, choices: Mapping[str, str]) -> bool:
    return any(
        all(choices[axis] in labels for axis, labels in each.items()) for each in study.exclude
    )


def _words_of(study: Study, choices: Mapping[str, str], seed: int) -> tuple[str, ...]:
    chosen = [word for axis, label in choices.items() for word in study.axes[axis][label]]
    return (*study.base, *chosen, f"seed={seed}")


def _rehearse(cells: Sequence[Cell], refused: dict[str, list[str]]) -> None:
    """Call each distinct schedule once: some settings are refused only together."""
    seen: dict[str, str | None] = {}
    for cell in cells:
        binding = cell.config.bindings["schedule"]
        key = repr(binding)
        if key not in seen:
            try:
                binding.load()()
                seen[key] = None
            except ConfigError as error:
                seen[key] = str(error)
        if (message := seen[key]) is not None:
            refused.setdefault(message, []).append(cell.title)


def _listed(study: Study, refused: Mapping[str, Sequence[str]], total: int) -> str:
    count = sum(len(names) for names in refused.values())
    lines = [f"{study.name}: {count} of {total} cells do not compose; nothing was started"]
    for message, names in refused.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"  {'; '.join(names[:SHOWN])}{more}: {message}")
    return "\n".join(lines)


def _refuse_twins(study: Study, cells: Sequence[Cell]) -> None:
    """Two cells that are one run would be one measurement counted twice."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        if cell.run in seen:
            raise ConfigError(
                f"{study.name}: the cells {seen[cell.run].title!r} and {cell.title!r} are the same "
                f"run {cell.run}, which would count twice; leave one out: "
                f"exclude: [{_exclusion(cell.choices)}]"
            )
        seen[cell.run] = cell


def _exclusion(choices: Mapping[str, Any]) -> str:
    inside = ", ".join(f"{axis}: {label}" for axis, label in choices.items())
    return f"{{{inside}}}"
