"""How a model's memory is recognised."""

import pytest
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
)

from align_cli.engine.cache import ROOM, SlotMemory, cache_kind
from align_cli.engine.native import native
from align_cli.errors import AlignError

KINDS = {
    "llama": (True, True),
    "qwen2": (True, True),
    "gpt2": (True, True),
    "bloom": (True, False),
    "mistral": (False, False),
    "gemma3_text": (False, False),
    "qwen3_5_text": (False, False),
}


@pytest.mark.parametrize("family", KINDS)
def test_models_are_told_apart_by_what_their_layers_keep(family, tiny):
    kind = cache_kind(tiny(family).network)
    assert (kind.plain, kind.mixes_lengths) == KINDS[family]


@pytest.mark.parametrize(
    ("rope", "fixed"),
    [
        ({"rope_type": "default", "rope_theta": 10_000.0}, True),
        ({"rope_type": "linear", "rope_theta": 10_000.0, "factor": 2.0}, True),
        ({"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}, False),
    ],
)
def test_rotations_that_follow_the_longest_row_keep_lengths_and_threads_apart(rope, fixed):
    config = LlamaConfig(
        vocab_size=9, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, rope_parameters=rope,
    )  # fmt: skip
    kind = cache_kind(LlamaForCausalLM(config))
    assert (kind.plain, kind.mixes_lengths, kind.side_by_side) == (True, fixed, fixed)


def test_a_model_with_a_memory_of_its_own_is_refused_by_name(tiny, ask, quiet):
    with pytest.raises(AlignError, match=r"MambaForCausalLM \(model type 'mamba'\)"):
        native(**ask([0], n=1), model=tiny("mamba"), advance=quiet, rows=8)


def test_a_model_with_an_encoder_is_refused_by_name():
    config = BartConfig(
        vocab_size=9, d_model=8, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=1, decoder_attention_heads=1, encoder_ffn_dim=8, decoder_ffn_dim=8,
    )  # fmt: skip
    with pytest.raises(AlignError, match="model type 'bart'"):
        cache_kind(BartForConditionalGeneration(config))


def read_prompts(rows, length, start=0.0):
    """A cache that has read `rows` prompts; its numbers say row and slot."""
    cache = DynamicCache()
    number = start + torch.arange(rows)[:, None] + torch.arange(length) / 100
    cache.update(number[:, None, :, None], -number[:, None, :, None], 0)
    return cache


def test_slots_hold_prompts_right_aligned_and_rows_move_into_holes():
    memory = SlotMemory(rows=5, longest=4, limit=3)
    memory.store(read_prompts(1, 2, start=10.0), torch.tensor([0, 0]), first=0)
    memory.store(read_prompts(2, 4, start=20.0), torch.tensor([0, 1, 1]), first=2)
    (layer,) = memory.cache.layers
    assert layer.keys.shape == (5, 1, 4 + 3, 1)
    memory.drop(torch.tensor([1]), torch.tensor([4]), left=4)
    step = torch.full((4, 1, 1, 1), 99.0)
    keys, values = memory.cache.update(step, -step, 0)
    wanted = [
        [0, 0, 10, 10.01, 99],
        [21, 21.01, 21.02, 21.03, 99],
        [20, 20.01, 20.02, 20.03, 99],
        [21, 21.01, 21.02, 21.03, 99],
    ]
    torch.testing.assert_close(keys[:, 0, :, 0], torch.tensor(wanted))
    torch.testing.assert_close(values, -keys)
    assert memory.cache.get_seq_length() == 5


def test_slots_grow_with_the_answers_not_with_the_limit():
    memory = SlotMemory(rows=3, longest=2, limit=100_000)
    memory.store(read_prompts(3, 2), torch.arange(3), first=0)
    (layer,) = memory.cache.layers
    assert layer.keys.shape[2] == 2 + ROOM
    memory.drop(torch.tensor([0]), torch.tensor([2]), left=2)
    for step in range(ROOM + 1):
        token = torch.full((2, 1, 1, 1), 100.0 + step)
        keys, _ = memory.cache.update(token, token, 0)
    assert layer.keys.shape[0] == 2
    assert layer.keys.shape[2] == 2 * (2 + ROOM)
    wanted = torch.tensor([[2, 2.01, 100], [1, 1.01, 100]])
    torch.testing.assert_close(keys[:, 0, :3, 0], wanted)
    assert keys[0, 0, 2:, 0].tolist() == [100.0 + step for step in range(ROOM + 1)]
