"""A causal language model that says what its script says after the last token of the question."""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from align_cli.model.language_model import LanguageModel
from align_cli.policy.tokenizers import character_tokenizer

TURNS = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{{ m['content'] }}{% endfor %}"
)


def scripted_judge(folder: Path, script: Mapping[str, str], window: int = 2048) -> Path:
    """A folder of a model whose answer to a question that ends with a letter is script[letter].

    Each answer is one token; attention and MLP add nothing, so the last token alone decides.
    """
    tokenizer = character_tokenizer()
    tokenizer.add_tokens(sorted(set(script.values())))
    tokenizer.chat_template = TURNS
    size = len(tokenizer)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size, hidden_size=size, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=1, num_key_value_heads=1, head_dim=8,
            max_position_embeddings=window, tie_word_embeddings=False,
            eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        )
    )  # fmt: skip
    following = torch.zeros(size, size)
    following[tokenizer.eos_token_id] = 0.5
    for letter, answer in script.items():
        said = tokenizer.convert_tokens_to_ids(answer)
        following[said, tokenizer.convert_tokens_to_ids(letter)] = 1.0
        following[tokenizer.eos_token_id, said] = 2.0
    with torch.no_grad():
        network.model.embed_tokens.weight.copy_(torch.eye(size))
        network.lm_head.weight.copy_(following)
        network.model.layers[0].self_attn.o_proj.weight.zero_()
        network.model.layers[0].mlp.down_proj.weight.zero_()
    LanguageModel(network, tokenizer).save(folder)
    return folder
