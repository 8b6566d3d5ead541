"""The code behind a cell: whether a finished run is what would be made today."""

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from align_cli.store import fingerprint

if TYPE_CHECKING:
    from align_cli.config.schema import RunConfig

LOOP = "align_cli.loop.rounds.run"
ARITHMETIC = ("torch", "transformers")


def code_behind(config: "RunConfig") -> str:
    """Fingerprint of the loop's code, of the cell's components and of the libraries beneath.

    Wider than any stage's own fingerprint: where it differs, the run is started again and finds
    each stage that is still the same.
    """
    targets = tuple(b.target for group, b in config.bindings.items() if group != "tracker")
    return _of(targets)


@cache
def _of(targets: tuple[str, ...]) -> str:
    codes = [fingerprint.of_code(target) for target in (LOOP, *targets)]
    return fingerprint.of_value([codes, [version(name) for name in ARITHMETIC]])
