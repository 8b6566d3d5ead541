"""Where study files lie: sweeps/ of the current folder, then those that align brings."""

from pathlib import Path

from align_cli.config.folders import conf_dir
from align_cli.config.nearest import listed, meant
from align_cli.errors import ConfigError


def find_study(study: str) -> Path:
    """The file of a study that is given as a path, or by its name in sweeps/."""
    if study.endswith((".yaml", ".yml")) or "/" in study:
        if not Path(study).is_file():
            raise ConfigError(f"sweep: there is no file {study}")
        return Path(study)
    known = studies()
    if study not in known:
        raise ConfigError(
            f"sweep: no study {study!r} in sweeps/{meant(study, known)}; "
            f"studies: {listed(known)}; a file is given with its .yaml"
        )
    return known[study]


def studies() -> dict[str, Path]:
    """{name: file}; a study of the current folder comes before one of the same name."""
    folders = [conf_dir().parent / "sweeps", Path("sweeps")]
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
