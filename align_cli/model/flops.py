"""What a model costs, from its shape: floating-point operations, a multiply-add counting as two.

    forward  = 2 x (matrix weights a token meets) x tokens  +  4 x sum over layers of
               (attention width x context) x tokens
    backward = 2 x forward

Looking an embedding up, norms, activations, softmax and rotations are left out: a few percent of a
small model and less of a large one. Source: Kaplan et al. 2020, arXiv:2001.08361, table 1, with the
output layer counted, and attention over what is attended to, not over the whole window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers that a forward pass's cost depends on."""

    trunk: float
    """Matrix weights between embedding and output layer; of experts, those a token is sent to."""
    head: int
    """Weights of the output layer, whether or not they are the embedding's."""
    attention: tuple[tuple[int, float], ...]
    """Per attention layer: heads x head width, and the most tokens it attends to."""

    def flops(self, tokens: float, context: float, *, heads: float | None = None) -> float:
        """Of one forward pass over `tokens` that attend to `context` each, itself included.

        `heads` is how many of the tokens ask for logits; None is all of them.
        """
        attended = sum(width * min(context, most) for width, most in self.attention)
        asked = tokens if heads is None else heads
        return 2 * self.trunk * tokens + 2 * self.head * asked + 4 * attended * tokens


_SHAPES: WeakKeyDictionary[PreTrainedModel, Shape] = WeakKeyDictionary()


def shape_of(model: PreTrainedConfig | PreTrainedModel) -> Shape:
    """The shape of a model, or of the model that a configuration describes (no memory is taken)."""
    if isinstance(model, PreTrainedConfig):
        with torch.device("meta"):
            return _measure(AutoModelForCausalLM.from_config(model))
    if model not in _SHAPES:
        _SHAPES[model] = _measure(model)
    return _SHAPES[model]


def forget_shape(model: PreTrainedModel) -> None:
    """Measure this model anew the next time: its layers have changed."""
    _SHAPES.pop(model, None)


def backward_products(model: PreTrainedModel) -> float:
    """What a backward pass costs in forward passes: 2, or 1 + the share of weights that trains.

    Gradients by activations go back through all matrices (1), those by weights are wanted of what
    trains alone.
    """
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    if not matrices:  # A bandit's policy is one vector, all of which trains.
        return 2.0
    trained = sum(weight.numel() for weight in matrices if weight.requires_grad)
    return 1 + trained / sum(weight.numel() for weight in matrices)


def forward_flops(model: PreTrainedConfig | PreTrainedModel, tokens: int, context: float) -> float:
    """Of one forward pass over `tokens` that attend to `context` tokens each on average [FLOP].

    A whole sequence of T tokens read at once has a mean context of (T + 1) / 2. Every token is
    taken to ask for logits; a sliding window bounds the context of its layers.
    """
    return shape_of(model).flops(tokens, context)


def backward_flops(model: PreTrainedConfig | PreTrainedModel, tokens: int, context: float) -> float:
    """Of the backward pass that belongs to a forward pass: twice as much [FLOP]."""
    return 2 * forward_flops(model, tokens, context)


def generation_flops(
    model: PreTrainedConfig | PreTrainedModel, prompt_tokens: int, generated: Sequence[int]
) -> float:
    """Of reading a prompt once and decoding an answer of each of the lengths after it [FLOP].

    The prompt asks for the logits of its last token only, and the last token of an answer is
    sampled but never read.
    """
    shape = shape_of(model)
    total = shape.flops(prompt_tokens, (prompt_tokens + 1) / 2, heads=1)
    for tokens in generated:
        total += shape.flops(tokens - 1, prompt_tokens + tokens / 2)
    return total


def _measure(network: PreTrainedModel) -> Shape:
    config = network.config.get_text_config(decoder=True)
    output = network.get_output_embeddings()
    trunk = 0.0
    for name, module in network.named_modules():
        if module is output or isinstance(module, nn.Embedding):
            continue
        share = _active_share(config) if "experts" in name.split(".") else 1.0
        own = module.parameters(recurse=False)
        trunk += share * sum(weight.numel() for weight in own if weight.ndim > 1)
    # A sequence classifier has no output layer over the vocabulary; its head is in the trunk.
    head = 0 if output is None else output.weight.numel()
    return Shape(trunk=trunk, head=head, attention=_attention(config))


def _active_share(config: Any) -> float:
    """How much of the routed experts' weights one token meets."""
    for name in ("num_experts", "num_local_experts", "n_routed_experts"):
        if count := getattr(config, name, None):
            return float(config.num_experts_per_tok / count)
    return 1.0


def _attention(config: Any) -> tuple[tuple[int, float], ...]:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = config.num_attention_heads * head
    window = getattr(config, "sliding_window", None)
    usual = "sliding_attention" if window else "full_attention"
    kinds = getattr(config, "layer_types", None) or [usual] * config.num_hidden_layers
    bounds = {"sliding_attention": float(window or "inf"), "full_attention": float("inf")}
    # Layers of other kinds (linear attention, convolution) cost what their weights cost.
    return tuple((width, bounds[kind]) for kind in kinds if kind in bounds)
