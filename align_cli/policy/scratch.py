"""A small Llama-architecture policy with random weights: where a supervised warm start begins."""

from pathlib import Path
from typing import Annotated

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from align_cli.errors import ConfigError
from align_cli.policy.tokenizers import character_tokenizer, tokenizer_from


def scratch(
    folder: Path,
    seed: int,
    *,
    tokenizer: str,
    layers: Annotated[int, ">= 1"],
    width: Annotated[int, ">= 2"],
    heads: Annotated[int, ">= 1"],
    mlp_width: Annotated[int, ">= 1"],
    window: Annotated[int, ">= 2", "tokens"],
    eos_token: str | None = None,
    chat_template: str | None = None,
) -> None:
    """Write a random policy of that shape, with its tokenizer, as a transformers folder.

    Llama's architecture (Touvron et al. 2023, arXiv:2302.13971) with tied embeddings and as many
    key as query heads; weights are normal with deviation 0.02. The seed decides every weight.

    Settings:
        tokenizer: `characters` (printable ASCII), or a tokenizer's folder or file.
        layers, width, heads, mlp_width: the shape; width is a multiple of 2 heads.
        window: longest sequence [tokens].
        eos_token: ends a turn; null is the tokenizer's own.
        chat_template: Jinja text; null is the tokenizer's own, or a plain one if it has none.
    """
    if width % (2 * heads):
        raise ConfigError(f"policy: width {width} is not a multiple of 2 x {heads} heads")
    if tokenizer == "characters":
        if eos_token is not None:
            raise ConfigError(
                "policy: the character tokenizer ends turns with <end>; drop eos_token"
            )
        words: PreTrainedTokenizerBase = character_tokenizer()
    else:
        words = tokenizer_from(Path(tokenizer).expanduser(), eos_token=eos_token)
    if chat_template is not None:
        words.chat_template = chat_template
    shape = LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=mlp_width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=window,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LlamaForCausalLM(shape)
    network.generation_config = GenerationConfig(
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, do_sample=True
    )
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder, safe_serialization=True)
    words.save_pretrained(folder)
