"""What changes a fingerprint, and what does not."""

import importlib
import sys

import pytest

from align_cli.store import fingerprint

CODE = '''"""Doc."""
from {package}.part import two

def one(x, *, a):
    """Doc."""
    return two(x) + a
'''
PART = "def two(x):\n    return 2 * x\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A private package of two modules, and its fingerprint as it stands on disk."""
    name = "pkg_" + tmp_path.name.replace("-", "_")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "main.py").write_text(CODE.format(package=name))
    (folder / "part.py").write_text(PART)
    monkeypatch.syspath_prepend(str(tmp_path))

    def of() -> str:
        fingerprint.of_code.cache_clear()
        importlib.invalidate_caches()
        return fingerprint.of_code(f"{name}.main.one")

    yield folder, of
    sys.modules.pop(name, None)


def test_comments_layout_and_docstrings_do_not_count(package):
    folder, of = package
    before = of()
    text = (folder / "main.py").read_text()
    (folder / "main.py").write_text(
        text.replace('"""Doc."""', '"""Other words."""') + "\n\n# why\n"
    )
    assert of() == before


@pytest.mark.parametrize(("file", "old", "new"), [("main", "+ a", "- a"), ("part", "2 *", "3 *")])
def test_code_counts_here_and_in_what_is_imported(package, file, old, new):
    folder, of = package
    before = of()
    path = folder / f"{file}.py"
    path.write_text(path.read_text().replace(old, new))
    assert of() != before


def test_our_own_components_differ_and_are_stable():
    one = fingerprint.of_code("align_cli.store.tables.read_rows")
    assert one == fingerprint.of_code("align_cli.store.tables.read_rows")
    assert one != fingerprint.of_code("align_cli.store.journal.Journal")


def test_types_of_values_count():
    values = [1, "1", 1.5, True, None, [1], {"a": 1}]
    assert len({fingerprint.of_value(value) for value in values}) == len(values)


def test_a_number_that_is_not_one_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        fingerprint.of_value({"a": float("nan")})
