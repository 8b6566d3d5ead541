"""Logits of chosen positions equal the whole model's there, also where the head is not plain."""

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from align_cli.model.heads import _is_plain, logits_at

SHAPE = {"vocab_size": 30, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 2}  # fmt: skip
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=30, n_embd=16, n_layer=2, n_head=2)),
    # A soft cap far below the logits' size, so that ignoring it is wrong by far.
    "capped": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SHAPE, head_dim=8, final_logit_softcapping=0.01)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_chosen_logits_are_the_models_own(name):
    torch.manual_seed(1)
    network = MODELS[name]().eval()
    assert _is_plain(network) == (name != "capped")
    ids_BT = torch.randint(0, 30, (3, 7))
    wanted_BT = torch.rand(3, 7) < 0.4
    whole_BTV = network(input_ids=ids_BT, use_cache=False).logits
    torch.testing.assert_close(logits_at(network, ids_BT, wanted_BT), whole_BTV[wanted_BT])


def test_gradients_reach_every_parameter():
    network = MODELS["llama"]().eval()
    logits_at(
        network, torch.tensor([[1, 2, 3]]), torch.tensor([[False, True, False]])
    ).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
