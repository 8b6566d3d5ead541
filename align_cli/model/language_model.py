"""A checkpoint folder <-> a causal language model in memory, with its tokenizer."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from align_cli.errors import AlignError
from align_cli.rows import Message


@dataclass(frozen=True)
class LanguageModel:
    """A transformers causal LM with the tokenizer that belongs to it.

    Dropout is always off: sampling, scoring and training see one and the same function.
    """

    network: PreTrainedModel
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path, *, device: str) -> "LanguageModel":
        """Read a transformers folder in the type its weights are stored in (`policy.dtype`).

        Weights must be safetensors, and remote code is never run.
        """
        network = AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", use_safetensors=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        # The wrapper that transformers puts around `to` hides its signature.
        return cls(network.to(device).eval(), tokenizer)  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Write a plain transformers folder (safetensors) that any other tool can load."""
        self.network.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        # Weights are written for their owner alone; a store is shared as far as the umask allows.
        readable = 0o666 & ~_umask()
        for file in folder.glob("*.safetensors"):
            file.chmod(readable)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.device

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Every token that ends a turn: the tokenizer's, and all of the generation config's."""
        configured = self.network.generation_config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        ids = {self.tokenizer.eos_token_id, *listed} - {None}
        if not ids:
            raise AlignError("the tokenizer names no end-of-sequence token; set eos_token in it")
        return tuple(sorted(ids))

    @cached_property
    def window(self) -> int:
        """Longest sequence the model takes [tokens]."""
        config = self.network.config.get_text_config(decoder=True)
        return int(getattr(config, "max_position_embeddings", 2**31))

    def encode_prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids the next answer continues: the chat template when there is one.

        Without a template the turns are joined by a blank line and closed by a newline. Special
        tokens are the template's business alone, so a BOS is never doubled.
        """
        if self.tokenizer.chat_template is not None:
            text = self.tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                tokenize=False,
            )
            return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        text = "\n\n".join(message.content for message in messages) + "\n"
        return tuple(self.tokenizer(text)["input_ids"])

    def encode_response(self, text: str) -> tuple[int, ...]:
        """Token ids of a written answer, ending with the end-of-turn token."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return (*ids, self.tokenizer.eos_token_id)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of a completion, special tokens removed."""
        text = self.tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
