"""A checkpoint folder <-> a causal language model in memory, with its tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from align_cli.bandit import network as bandit_network  # noqa: F401  (transformers learns of it)
from align_cli.errors import AlignError
from align_cli.model.folder import save_folder
from align_cli.model.turns import encode_prompt, encode_response
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
        save_folder(self.network, self.tokenizer, folder)

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
        return encode_prompt(self.tokenizer, messages)

    def encode_response(self, text: str) -> tuple[int, ...]:
        """Token ids of a written answer, ending with the end-of-turn token, once."""
        ids = encode_response(self.tokenizer, text, ended=False)
        return ids if ids and ids[-1] in self.stop_ids else (*ids, self.tokenizer.eos_token_id)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of a completion, special tokens removed."""
        text = self.tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)
