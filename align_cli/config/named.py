"""What a function's module says of it, and functions that settings name: read from source."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any, Final

from align_cli.config.nearest import listed, meant
from align_cli.config.source import read_module
from align_cli.errors import ConfigError

COUPLING: Final = ("COUPLES_PAIRS", "COUPLES_GROUPS")
"""A loss's module sets one of them to True where the loss of one example depends on the others."""


def couples_examples(target: str) -> bool:
    """Whether the module of this loss says that its examples see one another."""
    module = read_module(target.rpartition(".")[0])
    values = [module.alias(name) for name in COUPLING] if module else []
    return any(isinstance(value, ast.Constant) and value.value is True for value in values)


def allow_named(values: Mapping[str, Any], group: str, plugins: Sequence[str]) -> None:
    """A setting called `..._target` names a function of the user's: in a plugin, and really there.

    It is looked for in the source; the component imports it when it is first called.
    """
    for name, target in values.items():
        if not name.endswith("_target") or not isinstance(target, str):
            continue
        if not target.startswith(tuple(f"{package}." for package in plugins)):
            homes = listed(plugins) if plugins else "empty"
            raise ConfigError(
                f"{group}.{name}: {target!r} is not in one of `plugins`, which is {homes}; "
                f"list its package: plugins=[{target.split('.')[0]}]"
            )
        module_name, _, function = target.rpartition(".")
        module = read_module(module_name)
        if module is None:
            raise ConfigError(f"{group}.{name}: there is no Python module {module_name!r}")
        if function not in module.names():
            raise ConfigError(
                f"{group}.{name}: {module.file} defines no {function!r}"
                f"{meant(function, module.names())}"
            )
