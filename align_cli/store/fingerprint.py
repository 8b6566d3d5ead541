"""What a stage is made from, as a short hash: values, files and the code of a component."""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent


def of_value(value: Any) -> str:
    """24 hex digits of the canonical JSON of a value; dict order does not matter, types do."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def of_bytes(file: Path) -> str:
    """sha256 of a file's content, in full."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def of_files(files: Iterable[Path], *, within: Path) -> dict[str, str]:
    """{path relative to `within`: sha256} in path order."""
    return {str(file.relative_to(within)): of_bytes(file) for file in sorted(files)}


@cache
def of_code(dotted: str) -> str:
    """The component's code: its module and every module of this package that it imports, deeply.

    Comments, docstrings and layout do not count: only a change of meaning makes a stage again.
    """
    module = dotted.rsplit(".", 1)[0]
    seen: dict[str, str] = {}
    _collect(module, seen)
    return of_value(seen)


def _collect(module: str, seen: dict[str, str]) -> None:
    if module in seen:
        return
    file = _source_file(module)
    if file is None:
        return
    stat = file.stat()
    seen[module], imported = _read(file, stat.st_mtime_ns, stat.st_size)
    for name in imported:
        _collect(name, seen)


@cache
def _read(file: Path, mtime_ns: int, size: int) -> tuple[str, tuple[str, ...]]:
    """The hash of one module's meaning, and what it imports; read once while it stays the same."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _drop_strings(node)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(_imports(tree))


def _drop_strings(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """Docstrings, and the strings that stand under fields."""
    node.body = [
        line
        for line in node.body
        if not (
            isinstance(line, ast.Expr)
            and isinstance(line.value, ast.Constant)
            and isinstance(line.value.value, str)
        )
    ]


def _imports(tree: ast.Module) -> list[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            # `from align_cli.loss import links` names a module too.
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return sorted(found)


def _source_file(module: str) -> Path | None:
    """The module's file if it is ours, or a user's own package outside site-packages."""
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return _outside_file(module)
    base = PACKAGE.parent.joinpath(*parts)
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def _outside_file(module: str) -> Path | None:
    import importlib.util
    import sys

    if module.split(".")[0] in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    # Installed libraries are covered by the environment's versions, not by their source.
    return None if "site-packages" in spec.origin else Path(spec.origin)
