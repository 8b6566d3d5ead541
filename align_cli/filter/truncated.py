"""Whether an answer of a pair was cut off: its end was not the policy's choice."""

from typing import Literal

from align_cli.rows import Completion


def truncated(
    chosen: Completion, rejected: Completion, which: Literal["chosen", "either"] | None
) -> str | None:
    """The reason against a pair with an answer that ended at the token limit."""
    if which is None:
        return None
    looked_at = (chosen,) if which == "chosen" else (chosen, rejected)
    return "truncated" if any(one.finish == "length" for one in looked_at) else None
