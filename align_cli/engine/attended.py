"""Keys and values that know which layer remembers them, and ask it when they are attended to.

A model asks its cache for keys and values and hands them to torch's attention. These recognise
that call, so a layer may compute it in a way of its own; neither the network nor the library is
changed, and threads decode with one network side by side.
"""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor
from torch._C import DisableTorchFunctionSubclass, TensorBase
from torch.nn.functional import scaled_dot_product_attention
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer

# What the library reads of keys and values on their way to attention.
_READS = tuple(vars(TensorBase)[name].__get__ for name in ("shape", "dtype", "device"))


class Attends(Protocol):
    """A layer of a cache that computes attention itself."""

    @property
    def attend(self) -> Callable[..., Tensor]:
        """Stands in for `scaled_dot_product_attention`, with its arguments."""

    def used_otherwise(self, function: Callable[..., Any]) -> None:
        """Something else is about to be computed from the keys or the values."""


class Remembered(Tensor):
    """Keys or values as a layer hands them to a model."""

    layer: Attends

    @classmethod
    def by(cls, layer: Attends, tensor: Tensor) -> "Remembered":
        """A view of the same numbers."""
        made = tensor.as_subclass(cls)
        made.layer = layer
        return made

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch in place of every function of such tensors."""
        with DisableTorchFunctionSubclass():
            settings = kwargs or {}
            if func in _READS:
                return func(*args, **settings)
            if func is scaled_dot_product_attention and len(args) == 3:
                query, key, value = args
                if isinstance(key, Remembered) and getattr(value, "layer", None) is key.layer:
                    return key.layer.attend(query, key, value, **settings)
            for each in (*args, *settings.values()):
                for one in each if isinstance(each, (list, tuple)) else (each,):
                    if isinstance(one, Remembered):
                        one.layer.used_otherwise(func)
            return func(*args, **settings)


class ReadingLayer(DynamicLayer):
    """A prompt's keys and values, and whether plain causal attention is all they are used for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._plainly, self._otherwise = 0, 0

    @property
    def plain(self) -> bool:
        """Whether a layer that attends in its own way would be asked for all that is computed."""
        return self._plainly == 1 and not self._otherwise

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add tokens, as ever."""
        keys, values = super().update(key_states, value_states, *args, **kwargs)
        return Remembered.by(self, keys), Remembered.by(self, values)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **settings: Any,
    ) -> Tensor:
        """Attention as ever; a mask or dropout would make it more than plain."""
        causal = is_causal or query.shape[-2] == 1
        if causal and attn_mask is None and dropout_p == 0:
            self._plainly += 1
        else:
            self._otherwise += 1
        return scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, **settings
        )

    def used_otherwise(self, function: Callable[..., Any]) -> None:
        """Noted; it is computed all the same."""
        self._otherwise += 1


def reading_cache(config: PreTrainedConfig) -> DynamicCache:
    """A cache for prompts of a model whose layers all keep every token and nothing else."""
    cache = DynamicCache(config=config)
    cache.layers = [ReadingLayer() for _ in cache.layers]
    return cache


def is_plain(read: DynamicCache) -> bool:
    """Whether a prompt was read by plain causal attention in every layer."""
    return all(isinstance(layer, ReadingLayer) and layer.plain for layer in read.layers)
