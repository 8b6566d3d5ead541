"""Random causal models of a few thousand weights, and an engine's questions to them."""

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3_5TextConfig,
)

from align_cli.model.language_model import LanguageModel
from align_cli.rows import Decoding, Draw, Generated, Message
from align_cli.seeds import derive, uniforms

VOCAB, STOP, WINDOW = 23, 1, 48

# Weights far larger than a fresh model's: the next token has to depend on every token before it.
COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "eos_token_id": STOP,
    "bos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.4,
}
ROTARY: dict[str, Any] = {
    **COMMON,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": WINDOW,
}
CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**ROTARY),
    "qwen2": lambda: Qwen2Config(**ROTARY),
    "gpt2": lambda: GPT2Config(**COMMON, n_positions=WINDOW, n_embd=32, n_layer=2, n_head=4),
    "bloom": lambda: BloomConfig(**COMMON, hidden_size=32, n_layer=2, n_head=4),
    "mistral": lambda: MistralConfig(**ROTARY, sliding_window=5),
    "gemma3_text": lambda: Gemma3TextConfig(
        **{**ROTARY, "initializer_range": 0.15},
        head_dim=8,
        sliding_window=5,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "qwen3_5_text": lambda: Qwen3_5TextConfig(
        **ROTARY,
        head_dim=8,
        linear_num_value_heads=4,
        linear_num_key_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        layer_types=["linear_attention", "full_attention"],
    ),
    "mamba": lambda: MambaConfig(**COMMON, hidden_size=32, num_hidden_layers=2),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums over 32 numbers are slower, and slowest on a busy machine, when threads share them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., LanguageModel]:
    """A random model by family; in float64 unless told otherwise, so that sums hardly round."""

    def build(family: str, dtype: torch.dtype = torch.float64) -> LanguageModel:
        torch.manual_seed(5)
        network: PreTrainedModel = AutoModelForCausalLM.from_config(CONFIGS[family]())
        tokenizer = SimpleNamespace(eos_token_id=STOP)
        return LanguageModel(network.to(dtype).eval(), tokenizer)

    return build


@pytest.fixture
def quiet() -> Callable[[int, int], None]:
    return lambda rows, tokens: None


@pytest.fixture(scope="session")
def prompt() -> Callable[[int], tuple[int, ...]]:
    """Prompt number i: 3 to 8 random tokens, of which none stops."""

    def make(number: int) -> tuple[int, ...]:
        rng = np.random.default_rng([7, number])
        return tuple(rng.integers(2, VOCAB, 3 + int(rng.integers(6))).tolist())

    return make


@pytest.fixture(scope="session")
def ask(prompt: Callable[[int], tuple[int, ...]]) -> Callable[..., dict[str, Any]]:
    """The data of an engine call: `n` draws for each of `prompts`, keyed by prompt and index."""

    def make(prompts: Sequence[int], n: int, **decoding: Any) -> dict[str, Any]:
        how = Decoding(**{"max_new_tokens": 24, **decoding})
        draws = [
            Draw(prompt_id=f"p{i}", index=j, messages=(Message("user", str(i)),), decoding=how)
            for i in prompts
            for j in range(n)
        ]
        return {
            "draws": draws,
            "prompt_ids": [prompt(int(draw.prompt_id[1:])) for draw in draws],
            "keys": [derive(0, "draw", draw.prompt_id, draw.index) for draw in draws],
        }

    return make


@pytest.fixture(scope="session")
def naive() -> Callable[..., Generated]:
    """The definition of an answer: one sequence, no cache, exact sums over a sorted list."""

    def distribution(logits: torch.Tensor, decoding: Decoding) -> np.ndarray:
        scaled = logits.numpy().astype(np.float64) / decoding.temperature
        p = np.exp(scaled - scaled.max())
        p /= p.sum()
        ranked = sorted(range(len(p)), key=lambda v: -p[v])
        kept = ranked[: decoding.top_k] if decoding.top_k else ranked
        total, mass, nucleus = sum(p[v] for v in kept), 0.0, []
        for v in kept:
            if mass >= decoding.top_p * total:
                break
            nucleus.append(v)
            mass += p[v]
        cut = np.zeros_like(p)
        cut[nucleus] = p[nucleus]
        return cut / cut.sum()

    @torch.inference_mode()
    def decode(model: LanguageModel, prompt: Sequence[int], key: int, how: Decoding) -> Generated:
        tokens, logps = [], []
        limit = min(how.max_new_tokens, model.window - len(prompt))
        while len(tokens) < limit and (not tokens or tokens[-1] not in model.stop_ids):
            ids = torch.tensor([[*prompt, *tokens]])
            logits = model.network(input_ids=ids, use_cache=False).logits[0, -1]
            if how.temperature == 0:
                token = int(logits.argmax())
            else:
                u = uniforms(np.array([key], np.uint64), len(tokens))[0]
                token = int(np.searchsorted(distribution(logits, how).cumsum(), u, "right"))
            tokens.append(token)
            logps.append(float(logits.log_softmax(-1)[token]))
        return Generated(
            prompt_token_ids=tuple(prompt),
            token_ids=tuple(tokens),
            logps=tuple(logps),
            finish="stop" if tokens[-1] in model.stop_ids else "length",
        )

    return decode
