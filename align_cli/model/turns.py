"""Conversations -> token ids, by the tokenizer of whoever reads them."""

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from align_cli.errors import ConfigError
from align_cli.rows import Message


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """Token ids the next answer continues: the chat template when there is one.

    Without a template the turns are joined by a blank line and closed by a newline. Special
    tokens are the template's business alone, so a BOS is never doubled.
    """
    if tokenizer.chat_template is not None:
        try:
            text = tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                tokenize=False,
            )
        except TemplateError as error:
            roles = ", ".join(message.role for message in messages)
            raise ConfigError(
                f"the policy's chat template refuses a conversation of {roles}: {error}; choose a "
                "sampler and a task that ask in turns it takes"
            ) from error
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    text = "\n\n".join(message.content for message in messages) + "\n"
    return tuple(tokenizer(text)["input_ids"])


def encode_response(tokenizer: Any, text: str, *, ended: bool = True) -> tuple[int, ...]:
    """Token ids of a written answer; one that ended closes with the end-of-turn token."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return (*ids, tokenizer.eos_token_id) if ended else tuple(ids)
