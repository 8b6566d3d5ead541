"""Hydra's launchers: which there are, what each needs installed, and how a word sets one."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from align_cli.config.compose import at_rest, search_folders
from align_cli.config.nearest import listed, meant
from align_cli.config.ray_launcher import register
from align_cli.config.refusal import explained
from align_cli.config.source import find_spec
from align_cli.config.words import parse_override, read_words
from align_cli.errors import ConfigError

LOCAL = "basic"
EXTRAS = {
    "joblib": ("joblib", "hydra_plugins.hydra_joblib_launcher"),
    "submitit_local": ("slurm", "hydra_plugins.hydra_submitit_launcher"),
    "submitit_slurm": ("slurm", "hydra_plugins.hydra_submitit_launcher"),
    "ray": ("ray", "ray"),
}
"""{launcher: (extra that installs it, module that it comes in)}"""
LAUNCHERS = (LOCAL, *EXTRAS)
GROUP = "hydra/launcher"


def split_launcher_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(words about Hydra's launcher, all others)."""
    about: list[str] = []
    others: list[str] = []
    for word in words:
        key = word.lstrip("+~").split("=")[0]
        (about if key == GROUP or key.startswith("hydra.launcher.") else others).append(word)
    return about, others


def check_installed(words: Sequence[str]) -> None:
    """Refuse a launcher that is unknown, or whose extra is not installed."""
    for word in words:
        if word.split("=")[0] == GROUP:
            _require(str(parse_override(word).value()))


def _require(launcher: str) -> None:
    if launcher not in LAUNCHERS:
        raise ConfigError(
            f"{GROUP}={launcher}: no such launcher{meant(launcher, LAUNCHERS)}; "
            f"launchers: {listed(LAUNCHERS)}"
        )
    extra, module = EXTRAS.get(launcher, ("", "hydra"))
    if find_spec(module) is None:
        raise ConfigError(
            f"{GROUP}={launcher}: it is not installed; pip install 'align-cli[{extra}]'"
        )
    if launcher == "ray":
        register()


def launcher_of(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """(launcher, its settings) that words like hydra/launcher=ray hydra.launcher.x=1 describe.

    The settings are the plugin's own, checked by its schema: a key that it lacks is refused.
    """
    check_installed(words)
    parsed = [parse_override(word) for word in words]
    chosen = [str(each.value()) for each in parsed if each.key_or_group == GROUP]
    if len(chosen) > 1:
        raise ConfigError(f"{GROUP}: got {' and '.join(chosen)}, wanted one of them")
    launcher = chosen[0] if chosen else LOCAL
    for each in parsed:
        _refuse_sweep(each)
    if launcher == LOCAL:
        if strange := [each.input_line for each in parsed if each.key_or_group != GROUP]:
            raise ConfigError(f"{strange[0]!r}: hydra/launcher=basic has no settings")
        return launcher, {}
    folders = search_folders(read_words([]), [])
    with at_rest(folders) as composed, explained(None):
        node = OmegaConf.to_container(composed("config", list(words)).hydra.launcher, resolve=False)
    assert isinstance(node, dict)
    return launcher, {str(key): value for key, value in node.items()}


def _refuse_sweep(override: Override) -> None:
    if override.is_sweep_override() or override.is_delete():
        raise ConfigError(f"{override.input_line!r}: wanted one value of the launcher's")
