"""Every error a user can meet: one root, one child per thing that can be put right."""


class AlignError(Exception):
    """Something a user can put right; the message says where, what was got, wanted, and to do."""

    exit_code = 1


class ConfigError(AlignError, ValueError):
    """The composed configuration does not fit the components it names."""

    exit_code = 2


class RowError(AlignError, ValueError):
    """A row that breaks its own invariant, or a file of rows that cannot be read."""


class StaleRun(AlignError):
    """A run folder that other settings made; the message names the keys that differ."""

    exit_code = 2


class CorruptStage(AlignError):
    """A stored stage whose bytes are not the bytes that were written."""


class NothingToTrain(AlignError):
    """A round that yields no pair; the message holds the yield."""


class NonFinite(AlignError, ArithmeticError):
    """A loss or gradient that is not a number; the message names round, step and prompts."""


class Unscored(AlignError):
    """More completions went unjudged than `verifier.max_unscored` allows."""
