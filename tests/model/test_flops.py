"""What a forward pass costs: by hand, and against a count of the matrix products it makes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Qwen2Config,
    Qwen3_5TextConfig,
)

from align_cli.model.flops import backward_flops, forward_flops, generation_flops, shape_of

ROTARY = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
OTHER = {"vocab_size": 60, "n_layer": 3, "n_head": 4, "bos_token_id": 1, "eos_token_id": 2}
CONFIGS = {
    "llama": LlamaConfig(**ROTARY),
    "wide heads": LlamaConfig(**ROTARY, head_dim=24),
    "tied": LlamaConfig(**ROTARY, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**ROTARY),
    "gpt2": GPT2Config(**OTHER, n_positions=64, n_embd=32),
    "bloom": BloomConfig(**OTHER, hidden_size=32),
    "experts": MixtralConfig(**ROTARY, num_local_experts=4, num_experts_per_tok=2),
}


def counted(network, batch, length):
    """Every matrix product of a forward pass; attention is written out, and full."""
    ids = torch.randint(60, (batch, length), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(input_ids=ids)
    return counter.get_total_flops()


def test_a_tiny_llama_by_hand():
    """Width 8, 2 heads of 4, 1 shared key/value head, hidden 12, 2 layers, 10 words, 5 tokens."""
    config = LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=16, pad_token_id=0,
    )  # fmt: skip
    query_and_output, key_and_value, mlp, output = 2 * 8 * 8, 2 * 8 * 4, 3 * 8 * 12, 8 * 10
    weights = 2 * (query_and_output + key_and_value + mlp) + output
    attention = 4 * 2 * 8 * 3
    assert forward_flops(config, tokens=5, context=3.0) == 5 * (2 * weights + attention) == 11_360
    assert backward_flops(config, tokens=5, context=3.0) == 22_720
    # Four prompt tokens ask for one row of logits; of three answer tokens two are read.
    trunk = 2 * (weights - output)
    prompt = 4 * trunk + 2 * output + 4 * 2 * 8 * (1 + 2 + 3 + 4)
    answer = 2 * 2 * weights + 4 * 2 * 8 * (5 + 6)
    assert generation_flops(config, 4, [3]) == prompt + answer
    assert generation_flops(config, 4, [3, 1, 3]) == prompt + 2 * answer


@pytest.mark.parametrize("name", CONFIGS)
def test_agrees_with_a_count_of_matrix_products(name):
    network = AutoModelForCausalLM.from_config(CONFIGS[name], attn_implementation="eager").eval()
    if name == "experts":
        network.config._experts_implementation = "eager"
    made = forward_flops(network, tokens=3 * 20, context=20)
    assert made == pytest.approx(counted(network, 3, 20), rel=0.02)
    assert forward_flops(CONFIGS[name], tokens=3 * 20, context=20) == made


def test_a_sliding_window_bounds_what_is_attended_to():
    config = MistralConfig(**ROTARY, sliding_window=6)
    assert forward_flops(config, 10, 50) == forward_flops(config, 10, 6)
    assert forward_flops(config, 10, 5) < forward_flops(config, 10, 6)


def test_linear_attention_costs_its_weights_alone():
    layers = ["linear_attention", "full_attention", "linear_attention"]
    config = Qwen3_5TextConfig(**ROTARY, head_dim=8, layer_types=layers)
    growth = forward_flops(config, 1, 30) - forward_flops(config, 1, 20)
    assert growth == 4 * 4 * 8 * 10


def test_a_network_is_measured_once_and_not_kept_alive():
    from align_cli.model import flops

    before = len(flops._SHAPES)
    network = AutoModelForCausalLM.from_config(CONFIGS["llama"])
    assert shape_of(network) is shape_of(network)
    assert len(flops._SHAPES) == before + 1
    del network
    assert len(flops._SHAPES) == before
