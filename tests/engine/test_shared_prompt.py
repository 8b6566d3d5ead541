"""One copy of a prompt for all its answers: the model's own numbers, and who gets it."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from align_cli.engine import decode, prefill, shared_prompt
from align_cli.engine.attended import ReadingLayer, Remembered, is_plain, reading_cache
from align_cli.engine.cache import SlotMemory, cache_kind
from align_cli.engine.sampling import Rule
from align_cli.engine.shared_prompt import SharedMemory
from align_cli.engine.waves import Request
from align_cli.errors import AlignError

FAMILIES = ["llama", "qwen2", "gpt2"]
LENGTHS, COPIES = (2, 4, 4, 7), (3, 1, 5, 2)


def a_wave(limit=30):
    rng = np.random.default_rng(1)
    wave: list[Request] = []
    for number, (length, copies) in enumerate(zip(LENGTHS, COPIES, strict=True)):
        ids = tuple(rng.integers(2, 23, length).tolist())
        rule = Rule(1.0, 1.0, 0)
        wave += [Request(0, f"p{number}", ids, j, rule, limit) for j in range(copies)]
    return wave


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_logits_are_the_models_own_while_rows_leave(family, tiny):
    """Mixed lengths, ragged siblings, prompts that die out, and slots that run out."""
    network, wave = tiny(family).network, a_wave(limit=3)
    memory, logits_BV = prefill.prefill(network, wave, cache_kind(network))
    assert isinstance(memory, SharedMemory)
    rows, texts = decode._Rows(wave, network.device), [list(one.prompt) for one in wave]
    rng = np.random.default_rng(2)
    leaving = {1: [0, 4], 2: [1, 8], 4: [0, 1, 2], 6: [1]}
    for step in range(9):
        wanted = [network(torch.tensor([text])).logits[0, -1] for text in texts]
        torch.testing.assert_close(logits_BV, torch.stack(wanted), rtol=1e-9, atol=1e-9)
        done = np.isin(np.arange(len(texts)), leaving.get(step, []))
        left = int((~done).sum())
        holes = np.flatnonzero(done[:left])
        movers = left + np.flatnonzero(~done[left:])
        for hole, mover in zip(holes, movers, strict=True):
            texts[hole] = texts[mover]
        texts = texts[:left]
        if done.any():
            memory.drop(torch.from_numpy(holes), torch.from_numpy(movers), left)
            rows.drop(holes, movers, left)
        tokens_B = torch.from_numpy(rng.integers(2, 23, left))
        logits_BV = network(
            input_ids=tokens_B[:, None],
            past_key_values=memory.cache,
            use_cache=True,
            **rows.mask_and_positions(step, masked=False),
        ).logits[:, -1]
        for text, token in zip(texts, tokens_B.tolist(), strict=True):
            text.append(token)
    assert len(texts) == 3


@pytest.mark.parametrize("together", [1, 300])
@torch.inference_mode()
def test_slots_taken_in_parts_change_nothing(together, tiny, monkeypatch):
    monkeypatch.setattr(shared_prompt, "TOGETHER", together)
    test_logits_are_the_models_own_while_rows_leave.__wrapped__("qwen2", tiny)


@torch.inference_mode()
def memory_for(network, wave):
    return type(prefill.prefill(network, wave, cache_kind(network))[0])


def test_prompts_are_shared_where_several_rows_continue_them(tiny):
    wave = a_wave()
    assert memory_for(tiny("llama").network, wave) is SharedMemory
    once = [wave[0], wave[3], wave[4], wave[-1]]
    assert memory_for(tiny("llama").network, once) is SlotMemory
    assert memory_for(tiny("llama", torch.bfloat16).network, wave) is SlotMemory


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_that_does_not_go_through_torch_is_left_alone(attention, tiny):
    network = tiny("llama").network
    network.set_attn_implementation(attention)
    wanted = SharedMemory if attention == "sdpa" else SlotMemory
    assert memory_for(network, a_wave()) is wanted


def test_dropout_and_attention_biases_are_not_plain(tiny):
    network = tiny("llama").network
    network.config.attention_dropout = 0.1
    for layer in network.model.layers:
        layer.self_attn.attention_dropout = 0.1
    assert memory_for(network.train(), a_wave()) is SlotMemory
    bloom = tiny("bloom").network
    same = [one for one in a_wave() if len(one.prompt) == 7]
    assert memory_for(bloom, same) is SlotMemory


def states(length=3):
    return torch.randn(2, 1, length, 4)


def test_only_one_plain_attention_counts_as_plain():
    def after(*uses):
        layer = ReadingLayer()
        query, (keys, values) = states(), layer.update(states(), states())
        for use in uses:
            use(query, keys, values)
        return layer.plain

    def plain(q, k, v):
        scaled_dot_product_attention(q, k, v, is_causal=True)

    assert after(plain)
    assert not after()
    assert not after(plain, plain)
    assert not after(lambda q, k, v: scaled_dot_product_attention(q, k, v))
    assert not after(
        lambda q, k, v: scaled_dot_product_attention(q, k, v, attn_mask=torch.zeros(3, 3))
    )
    assert not after(plain, lambda q, k, v: torch.cat([q, k]))
    assert not after(plain, lambda q, k, v: v.transpose(0, 1))
    assert not after(lambda q, k, v: scaled_dot_product_attention(q, k, states(), is_causal=True))


def test_reading_gives_what_the_library_gives(tiny):
    network = tiny("qwen2").network
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])
    read = reading_cache(network.config)
    with torch.inference_mode():
        made = network(ids, past_key_values=read, use_cache=True).logits
        wanted = network(ids, use_cache=False).logits
    assert is_plain(read)
    assert torch.equal(made, wanted)
    assert not isinstance(made, Remembered)


def test_answers_without_their_prompts_are_given_to_nothing_else():
    read = reading_cache_of(torch.randn(2, 1, 3, 4))
    memory = SharedMemory([3, 3], [2, 2], limit=5)
    memory.store(read, torch.tensor([0, 0, 1, 1]), first=0)
    keys, values = memory.cache.update(torch.randn(4, 1, 1, 4), torch.randn(4, 1, 1, 4), 0)
    query = torch.randn(4, 1, 1, 4)
    assert scaled_dot_product_attention(query, keys, values).shape == query.shape
    with pytest.raises(AlignError, match="continues them by something else"):
        keys @ query
    with pytest.raises(AlignError, match="continues them by something else"):
        scaled_dot_product_attention(query, keys, values, attn_mask=torch.zeros(4, 1, 1, 4))


def reading_cache_of(keys):
    from transformers import DynamicCache

    cache = DynamicCache()
    cache.update(keys, -keys, 0)
    return cache


def test_a_prompt_is_kept_once_however_many_continue_it(tiny):
    memory = SharedMemory([50], [8], limit=5)
    memory.store(reading_cache_of(torch.randn(1, 2, 50, 4)), torch.zeros(8, dtype=torch.long), 0)
    (layer,) = memory.cache.layers
    kept = sum(each.numel() for each in layer._prompts + layer._own)
    assert kept == 2 * (50 * 2 * 4) + 2 * (5 * 8 * 2 * 4)
