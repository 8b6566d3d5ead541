"""What the loop tells whoever watches it."""

from typing import Protocol


class Reporter(Protocol):
    """Progress of one run; every method may be called at any rate."""

    def begin(self, title: str, *, total: int, unit: str) -> None:
        """Long work starts."""

    def advance(self, amount: int, tokens: int = 0) -> None:
        """`amount` of the total is done; `tokens` were generated or trained on meanwhile."""

    def end(self, note: str) -> None:
        """The work is done; `note` says what came of it."""

    def say(self, line: str) -> None:
        """A line worth reading by itself."""


class Silent:
    """Nobody watches."""

    def begin(self, title: str, *, total: int, unit: str) -> None:
        """Say nothing."""

    def advance(self, amount: int, tokens: int = 0) -> None:
        """Say nothing."""

    def end(self, note: str) -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""
