"""Random causal models of a few thousand weights and a 20-word tokenizer, built in memory."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

SPECIALS = ["<pad>", "<unk>", "<bos>", "<eos>", "<user>", "<turn>"]
WORDS = [*SPECIALS, *["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "-", "=", "?"]]

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<user> {{ message['content'] }} <turn>"
    "{% endfor %}{% if add_generation_prompt %} ={% endif %}"
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums over 32 numbers are slower, and slowest on a busy machine, when threads share them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def words() -> Callable[..., PreTrainedTokenizerFast]:
    """A tokenizer of words that puts <bos> before plain text by itself."""

    def build(template: str | None = None, eos_token: str | None = "<eos>") -> Any:
        vocabulary = {word: number for number, word in enumerate(WORDS)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="<pad>",
            unk_token="<unk>",
            bos_token="<bos>",
            eos_token=eos_token,
            additional_special_tokens=["<user>", "<turn>"],
            chat_template=template,
        )

    return build


@pytest.fixture(scope="session")
def template() -> str:
    return TEMPLATE


@pytest.fixture(scope="session")
def tiny() -> Callable[..., PreTrainedModel]:
    """A random model by family, whose next token depends on every token before it."""

    def build(family: str, **changes: Any) -> Any:
        torch.manual_seed(5)
        common = {
            "vocab_size": len(WORDS),
            "eos_token_id": 3,
            "bos_token_id": 2,
            "pad_token_id": 0,
            "initializer_range": 0.3,
        }
        if family == "gpt2":
            shape = {"n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4}
            config: Any = GPT2Config(**{**common, **shape, **changes})
        else:
            shape = {
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 32,
            }
            config = LlamaConfig(**{**common, **shape, **changes})
        return AutoModelForCausalLM.from_config(config).eval()

    return build
