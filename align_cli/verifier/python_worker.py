"""The program of a python worker: calls the user's function on one answer a line."""

import importlib
import math
import sys
from functools import cache
from typing import Any

from align_cli.verifier.worker import serve


@cache
def function_of(target: str) -> Any:
    """The function, imported once."""
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


def call(question: dict[str, Any]) -> dict[str, Any]:
    """What the function says; anything but a bool, a finite number or None is an error."""
    if sys.path != question["path"]:
        sys.path[:] = question["path"]
    said = function_of(question["target"])(
        question["question"], question["answer"], question["gold"]
    )
    if said is None or isinstance(said, bool):
        return {"said": said}
    if isinstance(said, int | float) and math.isfinite(said):
        return {"said": float(said)}
    return {"error": f"returned {said!r}; wanted True, False, a finite number or None"}


if __name__ == "__main__":
    # The user's function may raise anything; that is its row's verdict, and no more than that.
    serve(call, failures=(Exception,))
