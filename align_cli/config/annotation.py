"""From the syntax of an annotation to the kind of value it admits."""

import ast
from collections.abc import Callable

from align_cli.config.kinds import Kind, union
from align_cli.config.ranges import read_range
from align_cli.config.source import Module, read_module

PLAIN = {
    "float": "float",
    "int": "int",
    "str": "str",
    "bool": "bool",
    "Any": "Any",
    "object": "Any",
}
CONTAINERS = {
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "tuple": "tuple",
    "Tuple": "tuple",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
}


class Unreadable(Exception):
    """An annotation that says nothing about plain values; the message quotes it."""


def kind_of(node: ast.expr | None, module: Module) -> Kind:
    """The kind that an annotation in a module admits; `Unreadable` if it is none."""
    match node:
        case None | ast.Constant(value=None):
            return Kind("Any") if node is None else Kind("None")
        case ast.Constant(value=str(text)):
            return kind_of(ast.parse(text, mode="eval").body, module)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return union([kind_of(left, module), kind_of(right, module)])
        case ast.Subscript(value=head, slice=inner):
            return _subscript(_last_name(head), inner, module)
        case ast.Name() | ast.Attribute():
            return _named(node, module)
    raise Unreadable(ast.unparse(node))


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


def _named(node: ast.Name | ast.Attribute, module: Module) -> Kind:
    name = _last_name(node)
    if name in PLAIN:
        return Kind(PLAIN[name])
    if name in CONTAINERS:
        return Kind(CONTAINERS[name], open_ended=CONTAINERS[name] == "tuple")
    if isinstance(node, ast.Name):
        if value := module.alias(name):
            return kind_of(value, module)
        if origin := module.imported_from(name):
            source = read_module(origin[0])
            if source is not None and (value := source.alias(origin[1])):
                return kind_of(value, source)
    raise Unreadable(ast.unparse(node))


def _subscript(head: str, inner: ast.expr, module: Module) -> Kind:
    items = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if reader := SUBSCRIPTS.get(head):
        return reader(items, module)
    if head in CONTAINERS:
        name = CONTAINERS[head]
        open_ended = isinstance(items[-1], ast.Constant) and items[-1].value is Ellipsis
        parts = tuple(kind_of(item, module) for item in (items[:-1] if open_ended else items))
        return Kind(name, parts=parts, open_ended=open_ended)
    raise Unreadable(f"{head}[{ast.unparse(inner)}]")


def _literal(items: list[ast.expr], module: Module) -> Kind:
    return Kind("Literal", choices=tuple(ast.literal_eval(item) for item in items))


def _annotated(items: list[ast.expr], module: Module) -> Kind:
    kind, ranges, unit = kind_of(items[0], module), [], ""
    for item in items[1:]:
        if not isinstance(item, ast.Constant) or not isinstance(item.value, str):
            continue
        if found := read_range(item.value):
            ranges.append(found)
        else:
            unit = item.value
    return kind.limited(tuple(ranges), unit)


def _optional(items: list[ast.expr], module: Module) -> Kind:
    return union([kind_of(items[0], module), Kind("None")])


def _union(items: list[ast.expr], module: Module) -> Kind:
    return union([kind_of(item, module) for item in items])


SUBSCRIPTS: dict[str, Callable[[list[ast.expr], Module], Kind]] = {
    "Literal": _literal,
    "Annotated": _annotated,
    "Optional": _optional,
    "Union": _union,
}
