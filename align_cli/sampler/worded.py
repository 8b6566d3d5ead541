"""A prompt's conversation with a request added to it."""

from collections.abc import Sequence

from align_cli.errors import ConfigError
from align_cli.rows import Message


def worded(messages: Sequence[Message], *, system_text: str, user_text: str) -> tuple[Message, ...]:
    """The conversation, with `user_text` after its last message as it is.

    `system_text` follows the system message after an empty line, or becomes one; an empty text
    adds nothing.
    """
    *before, last = messages
    found = [*before, Message(last.role, last.content + user_text)]
    if not system_text:
        return tuple(found)
    if found[0].role == "system":
        found[0] = Message("system", f"{found[0].content}\n\n{system_text}")
        return tuple(found)
    return (Message("system", system_text), *found)


def refuse_no_text(sampler: str, *, system_text: str, user_text: str) -> None:
    """Without a text the conversations would be the prompt's own."""
    if not (system_text or user_text):
        raise ConfigError(
            f"sampler.system_text and sampler.user_text are empty, so sampler={sampler} would ask "
            "nothing but the prompt itself; give one of them, or use sampler=best_of_n"
        )
