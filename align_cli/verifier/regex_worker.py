"""The program of a regex worker: a pattern and a text in, what the pattern extracts out."""

import re
from functools import lru_cache
from typing import Any

from align_cli.verifier.worker import serve


@lru_cache(maxsize=8)
def compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    """The pattern, compiled once."""
    return re.compile(pattern, re.IGNORECASE if ignore_case else 0)


def extract(question: dict[str, Any]) -> dict[str, Any]:
    """The group of the first or last match; None where nothing matches."""
    pattern = compiled(question["pattern"], question["ignore_case"])
    found = pattern.search(question["text"])
    if question["match"] == "last":
        for each in pattern.finditer(question["text"]):
            found = each
    return {"answer": None if found is None else found[question["group"]]}


if __name__ == "__main__":
    serve(extract, failures=(MemoryError, RecursionError))
