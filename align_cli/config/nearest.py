"""What a mistyped word was probably meant to be."""

import difflib
from collections.abc import Iterable


def meant(word: str, choices: Iterable[str]) -> str:
    """` (did you mean X?)` or, if nothing is near, an empty text."""
    near = difflib.get_close_matches(word, sorted(choices), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(choices: Iterable[str]) -> str:
    """The choices in a stable order, for a message."""
    return ", ".join(sorted(choices)) or "(none)"
