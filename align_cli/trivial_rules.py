"""Rules that know nothing of an answer's worth, which pairs are audited by and balanced against."""

from collections.abc import Callable, Mapping

from align_cli.rows import Completion

RULES: Mapping[str, Callable[[Completion], float]] = {
    "longer": lambda row: len(row.token_ids),
    "first": lambda row: -row.index,
    "more_digits": lambda row: sum(letter.isdigit() for letter in row.text),
    "stops": lambda row: row.finish == "stop",
}
"""{rule: what it holds against the other answer's; more wins}."""
