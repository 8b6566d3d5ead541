"""What a component asks for: its data and its settings, read from source before anything loads."""

import ast
import importlib
import inspect
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from align_cli.config.annotation import Unreadable, kind_of
from align_cli.config.kinds import Kind
from align_cli.config.nearest import meant
from align_cli.config.source import Module, read_module
from align_cli.errors import ConfigError


class _Required:
    """The default of a setting that has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()
"""Marks a setting that the configuration must give."""
COMPUTED = _Required()
"""Marks a default that is an expression; the function knows it, the configuration does not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A keyword-only parameter."""

    name: str
    kind: Kind
    default: Any = REQUIRED

    @property
    def required(self) -> bool:
        """Whether the configuration must give a value."""
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Signature:
    """A component's interface and its explanation."""

    target: str
    file: Path | None
    needs: tuple[str, ...]
    """Positional parameters: data that the loop hands over by name."""
    settings: dict[str, Setting]
    docstring: str
    returns: str = ""
    """The annotation of what it returns, as it is written; empty if there is none."""


@cache
def signature_of(target: str) -> Signature:
    """The interface of a function from its dotted path.

    The module is parsed, not imported; only a name that its source does not define as a plain
    function (a decorated one, a re-export) is imported and inspected.
    """
    module_name, _, name = target.rpartition(".")
    try:
        module = read_module(module_name) if module_name else None
    except SyntaxError as error:
        raise ConfigError(f"{target}: {error.filename}, line {error.lineno}: {error.msg}") from None
    if module is None:
        raise ConfigError(f"no component {target!r}: there is no Python module {module_name!r}")
    if (function := module.function(name)) is not None:
        return _from_source(target, function, module)
    if name not in module.names():
        raise ConfigError(
            f"no component {target!r}: {module.file} defines no {name!r}"
            f"{meant(name, module.names())}"
        )
    return _from_import(target, name, module)


def _from_source(target: str, function: ast.FunctionDef, module: Module) -> Signature:
    arguments = function.args
    for star in (arguments.vararg, arguments.kwarg):
        if star is not None:
            raise ConfigError(f"{target} takes *{star.arg}; a component names all it takes")
    settings = {}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        kind = _kind(target, argument.arg, argument.annotation, module)
        settings[argument.arg] = Setting(argument.arg, kind, _default(default))
    return Signature(
        target=target,
        file=module.file,
        needs=tuple(each.arg for each in (*arguments.posonlyargs, *arguments.args)),
        settings=settings,
        docstring=ast.get_docstring(function) or "",
        returns="" if function.returns is None else ast.unparse(function.returns),
    )


def _kind(target: str, name: str, annotation: ast.expr | None, module: Module) -> Kind:
    try:
        return kind_of(annotation, module)
    except Unreadable as found:
        raise ConfigError(
            f"{target}: the setting {name} is annotated {found}, which no configuration can hold; "
            "use float, int, str, bool, Literal, tuple, list, dict or `... | None` of these"
        ) from None


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return REQUIRED
    try:
        return ast.literal_eval(node)
    except ValueError:
        return COMPUTED


def _from_import(target: str, name: str, module: Module) -> Signature:
    try:
        function = getattr(importlib.import_module(module.name), name)
        described = inspect.signature(function)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"no component {target!r}: {error}") from None
    needs, settings = [], {}
    for each in described.parameters.values():
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise ConfigError(f"{target} takes *{each.name}; a component names all it takes")
        if each.kind is not each.KEYWORD_ONLY:
            needs.append(each.name)
            continue
        kind = _imported_kind(target, each, module)
        default = REQUIRED if each.default is each.empty else each.default
        settings[each.name] = Setting(each.name, kind, default)
    file = inspect.getsourcefile(inspect.unwrap(function))
    return Signature(
        target=target,
        file=Path(file) if file else None,
        needs=tuple(needs),
        settings=settings,
        docstring=inspect.getdoc(function) or "",
        returns=_written(described.return_annotation),
    )


def _written(annotation: Any) -> str:
    return "" if annotation is inspect.Signature.empty else inspect.formatannotation(annotation)


def _imported_kind(target: str, parameter: inspect.Parameter, module: Module) -> Kind:
    if parameter.annotation is parameter.empty:
        return Kind("Any")
    text = inspect.formatannotation(parameter.annotation)
    return _kind(target, parameter.name, ast.parse(text, mode="eval").body, module)
