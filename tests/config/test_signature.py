"""Signatures are read from source: kinds, ranges, aliases, and what cannot be read."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_cli.config.annotation import Unreadable, kind_of
from align_cli.config.kinds import Mismatch
from align_cli.config.ranges import read_range
from align_cli.config.signature import REQUIRED, signature_of
from align_cli.config.source import Module
from align_cli.errors import ConfigError

MODULE = Module(
    "m",
    Path("m.py"),
    ast.parse(
        "from align_cli.rows import Author\n"
        "Share = Annotated[float, '[0, 1]', 'share']\n"
        "Link: TypeAlias = Literal['a', 'b']\n"
    ),
)


def kind(text: str):  # type: ignore[no-untyped-def]
    return kind_of(ast.parse(text, mode="eval").body, MODULE)


FITS: list[tuple[str, Any, Any]] = [
    ("float", 1, 1.0),
    ("int", 3, 3),
    ("bool", True, True),
    ("str", "x", "x"),
    ("None", None, None),
    ("Any", [1, "x"], [1, "x"]),
    ("float | None", None, None),
    ("Optional[int]", 2, 2),
    ("Union[int, str]", "x", "x"),
    ("'float | None'", 2, 2.0),
    ("int | float", 2.5, 2.5),
    ("Literal['a', 'b']", "b", "b"),
    ("Literal[1, 2] | None", 2, 2),
    ("tuple[str, ...]", ["a", "b"], ("a", "b")),
    ("tuple[int, float]", [1, 2], (1, 2.0)),
    ("list[float]", [1, 2], [1.0, 2.0]),
    ("Sequence[str]", [], []),
    ("list", [1, "x"], [1, "x"]),
    ("dict[str, float]", {"a": 1}, {"a": 1.0}),
    ("typing.Mapping[str, int]", {"a": 1}, {"a": 1}),
    ("Annotated[float, '> 0', '1/nat']", 0.5, 0.5),
    ("Annotated[float | None, '> 0']", None, None),
    ("Annotated[tuple[int, ...], '>= 1']", [1, 2], (1, 2)),
    ("typing.Annotated[int, '[1, 8]']", 8, 8),
    ("Share", 1, 1.0),
    ("Link", "a", "a"),
    ("Author", "initial", "initial"),
    ("Share | None", None, None),
]


@pytest.mark.parametrize(("annotation", "value", "fitted"), FITS, ids=str)
def test_a_value_of_the_kind_fits(annotation: str, value: Any, fitted: Any) -> None:
    found = kind(annotation).fit(value)
    assert found == fitted
    assert type(found) is type(fitted)


REFUSED: list[tuple[str, Any, str]] = [
    ("float", True, "float"),
    ("float", "1", "float"),
    ("float", None, "null"),
    ("float", float("nan"), "nan"),
    ("float", float("inf"), "inf"),
    ("int", 1.0, "int"),
    ("int", True, "bool"),
    ("bool", 1, "bool"),
    ("str", 1, "quote"),
    ("str", None, "null"),
    ("float | None", "x", "float | None"),
    ("Literal['a', 'b']", "c", "'a', 'b'"),
    ("Literal[1]", True, "1"),
    ("tuple[str, ...]", "ab", "tuple[str, ...]"),
    ("tuple[int, float]", [1], "tuple[int, float]"),
    ("dict[str, int]", [1], "dict"),
    ("dict[str, int]", {"a": "b"}, "int"),
    ("Annotated[float, '> 0', '1/nat']", 0, "> 0 [1/nat]"),
    ("Annotated[float | None, '> 0', 's']", -1, "> 0"),
    ("Annotated[tuple[int, ...], '>= 1']", [1, 0], ">= 1"),
    ("Share", 1.5, "[0, 1] [share]"),
    ("Link", "c", "'a', 'b'"),
    ("Author", "me", "'initial'"),
]


@pytest.mark.parametrize(("annotation", "value", "said"), REFUSED, ids=str)
def test_a_value_of_another_kind_is_refused(annotation: str, value: Any, said: str) -> None:
    with pytest.raises(Mismatch) as caught:
        kind(annotation).fit(value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "annotation", ["Tensor", "Callable[[int], int]", "set[int]", "1", "torch.Tensor"]
)
def test_an_annotation_that_no_yaml_can_hold_is_refused(annotation: str) -> None:
    with pytest.raises(Unreadable, match=r".+"):
        kind(annotation)


RANGES = [
    ("> 0", [1e-9, 5], [0, -1]),
    (">= 1", [1, 2], [0.5]),
    ("< 1", [0.5, -9], [1, 2]),
    ("<= 1", [1], [1.1]),
    ("[0, 1]", [0, 1], [-0.1, 1.1]),
    ("[0, 0.5)", [0, 0.49], [0.5]),
    ("(0, 1]", [1, 0.1], [0]),
    ("(-1, 1)", [0], [-1, 1]),
    ("[1e-3, inf)", [1e-3, 1e9], [0]),
    (">0", [1], [0]),
]


@pytest.mark.parametrize(("text", "inside", "outside"), RANGES)
def test_a_range_holds_what_it_says(text: str, inside: list[float], outside: list[float]) -> None:
    found = read_range(text)
    assert found is not None
    assert [value for value in inside if value not in found] == []
    assert [value for value in outside if value in found] == []


@pytest.mark.parametrize("text", ["1/nat", "tokens", "", "share of [pairs]", "> x", "[1]", "(0, 1"])
def test_a_unit_is_no_range(text: str) -> None:
    assert read_range(text) is None


@given(low=st.floats(-1e6, 1e6), high=st.floats(-1e6, 1e6), value=st.floats(-1e6, 1e6))
def test_intervals_mean_what_mathematics_says(low: float, high: float, value: float) -> None:
    closed, opened = read_range(f"[{low!r}, {high!r}]"), read_range(f"({low!r}, {high!r})")
    assert closed is not None
    assert opened is not None
    assert (value in closed) == (low <= value <= high)
    assert (value in opened) == (low < value < high)


def test_a_signature_is_read_without_importing(world: Path) -> None:
    signature = signature_of("toyparts.parts.dpo")
    assert signature.needs == ("pairs", "ref_pairs")
    assert signature.settings["beta"].default is REQUIRED
    assert signature.settings["beta"].kind.unit == "1/nat"
    assert signature.settings["label_smoothing"].default == 0.0
    assert signature.docstring.startswith("Toy DPO.\n")
    assert signature.file == world / "toyparts" / "parts.py"


def test_what_source_does_not_define_is_imported(world: Path) -> None:
    (world / "wrapped_parts.py").write_text(
        "from functools import wraps\n"
        "from typing import Annotated\n"
        "def log(f):\n"
        "    @wraps(f)\n"
        "    def g(*a, **k): return f(*a, **k)\n"
        "    return g\n"
        "@log\n"
        "def loss(pairs, *, beta: Annotated[float, '> 0'], on: bool = False): 'Doc.'\n"
        "again = loss\n"
    )
    for name in ("loss", "again"):
        signature = signature_of(f"wrapped_parts.{name}")
        assert signature.needs == ("pairs",)
        assert str(signature.settings["beta"].kind) == "float"
        assert signature.settings["beta"].kind.ranges
        assert signature.settings["on"].default is False
        assert signature.docstring == "Doc."


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def loss(pairs, *, f: Callable): ''", "Callable"),
        ("def loss(pairs, *rest): ''", "rest"),
        ("def loss(pairs: ''", "line 1"),
        ("x = 1\nloss = x", "loss"),
    ],
)
def test_a_broken_component_is_refused(world: Path, source: str, said: str) -> None:
    name = f"broken_{abs(hash(source))}"
    (world / f"{name}.py").write_text(source + "\n")
    with pytest.raises(ConfigError, match=said):
        signature_of(f"{name}.loss")
