"""Where yamls lie: the shipped conf/ and the user's own folders beside it."""

from collections.abc import Sequence
from pathlib import Path

from align_cli.errors import ConfigError


def conf_dir() -> Path:
    """conf/ inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "config.yaml").is_file():
            return candidate
    raise ConfigError(f"no conf/config.yaml in {package} or beside it; reinstall align")


def choice_files(group: str, folders: Sequence[Path]) -> dict[str, Path]:
    """{choice: its yaml} of a group, in name order; two files may not claim one name."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted((folder / group).rglob("*.yaml")):
            name = file.relative_to(folder / group).with_suffix("").as_posix()
            if name in found:
                raise ConfigError(f"{group}={name}: both {found[name]} and {file}; rename yours")
            found[name] = file
    return dict(sorted(found.items()))


def group_names(folders: Sequence[Path]) -> list[str]:
    """Every folder that holds choices."""
    return sorted({each.name for folder in folders for each in folder.iterdir() if each.is_dir()})
