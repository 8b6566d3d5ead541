"""Where steps end, in tokens that hold part of a delimiter, more than it, or nothing of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from align_cli.model.steps import step_ends


class Spelled:
    """A model whose token i spells the i-th of some texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.texts[each] for each in ids)


@pytest.mark.parametrize(
    ("said", "end", "wanted"),
    [
        (["7", "+8", ";", "5", "#", "5"], ";", (3,)),
        # A token that holds more than the delimiter takes it all into its step.
        (["7+8", ";1", "5-3", ";", "12"], ";", (2, 4)),
        (["a", ";;", "b"], ";", (2,)),
        (["a", "\n", "\n", "b", "\n", "c"], "\n\n", (3,)),
        (["a\n", "\nb", "\n\n", "c"], "\n\n", (2, 3)),
        # What completes one delimiter begins no other.
        (["-", "-", "-", "-"], "--", (2, 4)),
        (["so", ", ", "and", ", "], ", ", (2, 4)),
        (["so", "  ", "and"], "  ", (2,)),
        (["no", "ne"], ";", ()),
        (["a", ";"], ";", (2,)),
    ],
)
def test_a_step_ends_with_the_token_that_completes_the_text(
    said: list[str], end: str, wanted: tuple[int, ...]
) -> None:
    texts = sorted(set(said))
    model: Any = Spelled(texts)
    assert step_ends(model, [texts.index(each) for each in said], end) == wanted


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (["7", "+8", ";", "5", "##", "5"], (3, 4)),
        (["7", ";", "##", "5"], (2,)),
        # The first token that holds some of the mark belongs to the answer.
        (["7", ";", "5 = ", "5 #", "# 5"], (2, 3)),
        (["7", ";", "5", "##", "5", "##"], (2, 3)),
        (["##", "5"], ()),
        (["7", ";", "5"], (2,)),
    ],
)
def test_a_step_ends_before_the_answer_too(said: list[str], wanted: tuple[int, ...]) -> None:
    texts = sorted(set(said))
    model: Any = Spelled(texts)
    ids = [texts.index(each) for each in said]
    assert step_ends(model, ids, ";", before="##") == wanted
