"""What an examination without draws says of a policy."""

from collections.abc import Mapping
from dataclasses import dataclass

from align_cli.rows import Score


@dataclass(frozen=True, slots=True)
class Examined:
    """Scores of held-out prompts, one each in their order, and numbers of all of them."""

    scores: list[Score]
    metrics: Mapping[str, float]
    """By name, without `eval/`."""
