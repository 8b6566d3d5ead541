"""From a config node to a checked component: every mistake surfaces before a model loads."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from align_cli.config.kinds import Mismatch
from align_cli.config.named import allow_named
from align_cli.config.nearest import listed, meant
from align_cli.config.offers import OFFERS, loop_settings
from align_cli.config.signature import COMPUTED, Setting, Signature, signature_of
from align_cli.config.source import find_spec
from align_cli.config.units import unit_of
from align_cli.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Component:
    """A function with its settings bound; call it with everything on offer, it takes its share."""

    function: Callable[..., Any]
    needs: frozenset[str]
    settings: Mapping[str, Any]

    def __call__(self, **data: Any) -> Any:
        return self.function(**{name: data[name] for name in self.needs}, **self.settings)


@dataclass(frozen=True, slots=True)
class Binding:
    """One group's choice, checked against the function it names, which is not imported yet."""

    group: str
    choice: str
    target: str
    needs: frozenset[str]
    settings: Mapping[str, Any]
    """Everything the function is called with, its own defaults included."""
    loop_settings: Mapping[str, Any] = field(default_factory=dict)
    """What the loop reads and the function never sees."""

    @property
    def signature(self) -> Signature:
        """The interface and explanation of the function, from its source."""
        return signature_of(self.target)

    @property
    def unit(self) -> str:
        """Pairs or groups: what a pairing rule supplies, what a loss trains on; else empty."""
        return unit_of(self.group, self.signature)

    def load(self) -> Component:
        """Import the function; from here on torch may be in memory."""
        module_name, _, name = self.target.rpartition(".")
        function = getattr(importlib.import_module(module_name), name)
        return Component(function, self.needs, self.settings)


def bind(
    node: Mapping[str, Any], *, group: str, choice: str, plugins: Sequence[str] = ()
) -> Binding:
    """Check one config node (plain values) against the signature of its `_target_`."""
    values = dict(node)
    target = values.pop("_target_", None)
    if not isinstance(target, str):
        raise ConfigError(
            f"{group}: the choice {choice!r} names no function; its yaml starts with "
            f"`_target_: align_cli.{group}.FILE.FUNCTION`"
        )
    _allow(target, group, plugins)
    signature = signature_of(target)
    if strangers := sorted(set(signature.needs) - OFFERS[group]):
        raise ConfigError(
            f"{group}: {target} asks for {listed(strangers)}; a {group} is offered "
            f"{listed(OFFERS[group])}. Settings come after the `*` in its parameters"
        )
    kept = loop_settings(group, signature.needs)
    wanted = {**signature.settings, **kept}
    for name in values:
        if name not in wanted:
            raise ConfigError(
                f"{group}.{name}: {choice!r} ({target}) has no such setting"
                f"{meant(str(name), wanted)}; it has: {listed(wanted)}"
            )
    allow_named(values, group, plugins)
    fitted = {name: _fit(group, choice, wanted[name], values) for name in wanted}
    given = {name: value for name, value in fitted.items() if value is not COMPUTED}
    return Binding(
        group=group,
        choice=choice,
        target=target,
        needs=frozenset(signature.needs),
        settings={name: value for name, value in given.items() if name not in kept},
        loop_settings={name: value for name, value in given.items() if name in kept},
    )


def _allow(target: str, group: str, plugins: Sequence[str]) -> None:
    """Only this group's modules and packages that the user lists may be named."""
    for package in plugins:
        if not all(part.isidentifier() for part in package.split(".")):
            raise ConfigError(f"plugins: {package!r} is not the name of a Python package")
        if find_spec(package) is None and str(Path.cwd()) not in sys.path:
            # As with `python -m align_cli`: a package in the current folder can be imported.
            sys.path.append(str(Path.cwd()))
        if find_spec(package) is None:
            raise ConfigError(
                f"plugins: no Python package {package!r} can be found; install it or put the "
                "folder that holds it on PYTHONPATH"
            )
    homes = [f"align_cli.{group}.", *(f"{package}." for package in plugins)]
    if not target.startswith(tuple(homes)):
        raise ConfigError(
            f"{group}._target_: {target!r} is not in an allowed module; wanted one of "
            f"{', '.join(home + '*' for home in homes)}. To use a package of your own, list it: "
            f"plugins=[{target.split('.')[0]}]"
        )


def _fit(group: str, choice: str, setting: Setting, values: Mapping[str, Any]) -> Any:
    """The value of one setting, from the config or from the function's own default."""
    where = f"{group}.{setting.name}"
    if setting.name not in values:
        if setting.required:
            raise ConfigError(
                f"{where}: {choice!r} needs this setting ({setting.kind}); give it in "
                f"conf/{group}/{choice}.yaml or as {where}=VALUE"
            )
        return setting.default
    try:
        return setting.kind.fit(values[setting.name])
    except Mismatch as mismatch:
        raise ConfigError(f"{where}: {mismatch}") from None
