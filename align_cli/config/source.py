"""Python modules as text: where a dotted path lives and what it defines, without importing it."""

import ast
import importlib.util
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """A parsed source file; the syntax tree is shared, so nobody edits it."""

    name: str
    file: Path
    tree: ast.Module

    def docstring(self) -> str:
        """The module's own docstring, or an empty text."""
        return ast.get_docstring(self.tree) or ""

    def function(self, name: str) -> ast.FunctionDef | None:
        """The module-level function of that name, undecorated, or None."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == name and not node.decorator_list:
                return node
        return None

    def alias(self, name: str) -> ast.expr | None:
        """What a module-level name stands for (`Link = Literal[...]`), or None."""
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                    return value
                case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value):
                    if found == name:
                        return value
        return None

    def names(self) -> set[str]:
        """Everything that the module binds at its top level."""
        found: set[str] = set()
        for node in self.tree.body:
            for each in ast.walk(node) if isinstance(node, ast.If | ast.Try) else (node,):
                found |= _bound(each)
        return found

    def imported_from(self, name: str) -> tuple[str, str] | None:
        """(module, name) that a module-level `from ... import` binds to `name`, or None."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                for each in node.names:
                    if (each.asname or each.name) == name:
                        return node.module, each.name
        return None


def _bound(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {each.asname or each.name for each in names}
    return set()


def find_spec(name: str) -> ModuleSpec | None:
    """Where a module or package is; its parents are looked at, never imported."""
    top, *rest = name.split(".")
    try:
        spec: ModuleSpec | None = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    path = top
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        path = f"{path}.{part}"
        spec = PathFinder.find_spec(path, spec.submodule_search_locations)
    return spec


@cache
def read_module(name: str) -> Module | None:
    """A module's parsed source, or None if it has none that can be found."""
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    file = Path(spec.origin)
    return Module(name, file, ast.parse(file.read_text(encoding="utf-8"), filename=str(file)))
