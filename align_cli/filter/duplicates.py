"""Whether two answers are one: by content, or in what a shorter training length would keep."""

from typing import Literal

from align_cli.rows import Completion


def content(one: Completion, by: Literal["ids", "text"]) -> object:
    """What makes two answers the same: all token ids, or the text without outer blanks."""
    return one.token_ids if by == "ids" else one.text.strip()


def same_opening(chosen: Completion, rejected: Completion, tokens: int | None) -> str | None:
    """The reason against a pair that cannot be told apart in its first `tokens` tokens."""
    if tokens is None:
        return None
    return "same_opening" if chosen.token_ids[:tokens] == rejected.token_ids[:tokens] else None
