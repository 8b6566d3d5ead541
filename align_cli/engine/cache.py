"""What a model remembers of the sequences being decoded, in memory that rows join and leave.

Shapes: keys and values are [rows, heads, slots, width].
"""

import inspect
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, arange
from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from align_cli.errors import AlignError

ROOM = 32
"""Slots allocated for tokens to come; doubled whenever they are used up."""


@dataclass(frozen=True, slots=True)
class CacheKind:
    """What a model's cache allows."""

    plain: bool
    """Every layer keeps the keys and values of every token, and nothing else."""
    mixes_lengths: bool
    """Prompts of different lengths may be decoded in one batch."""
    side_by_side: bool
    """Threads may decode with the model at the same time."""


def cache_kind(network: PreTrainedModel) -> CacheKind:
    """How this model's cache is handled; an error if decoding step by step is not known for it.

    Sliding windows, linear attention, shared or indexed layers keep the library's own cache, which
    is gathered row by row, in batches of equal prompt length.
    """
    config = network.config
    parameters = inspect.signature(network.forward).parameters
    known = "past_key_values" in parameters and not getattr(config, "is_encoder_decoder", False)
    # The same list that `generate` goes by: models with a cache of their own making.
    supports = getattr(network, "_supports_default_dynamic_cache", lambda: True)
    try:
        layers = DynamicCache(config=config).layers if known and supports() else []
    except (KeyError, AttributeError):
        layers = []
    if not layers:
        raise AlignError(
            f"engine=native cannot decode {type(network).__name__} (model type "
            f"{config.model_type!r}): it does not keep its past in a transformers DynamicCache; "
            "choose a decoder-only model that does, or another engine"
        )
    stateful = getattr(network, "_is_stateful", False)
    plain = not stateful and all(type(layer) is DynamicLayer for layer in layers)
    fixed = plain and _rotations_are_fixed(config)
    return CacheKind(
        plain=plain, mixes_lengths=fixed and "position_ids" in parameters, side_by_side=fixed
    )


def _rotations_are_fixed(config: PreTrainedConfig) -> bool:
    """False where a forward pass sets the model's rotary frequencies by its longest sequence."""
    rope = getattr(config.get_text_config(decoder=True), "rope_parameters", None) or {}
    # One set of parameters, or one for each type of layer.
    sets = [rope, *(each for each in rope.values() if isinstance(each, dict))]
    types = [str(each.get("rope_type", "")) for each in sets]
    return not any("dynamic" in name or name == "longrope" for name in types)


class Memory(Protocol):
    """The past of a batch of rows, in a cache that the model reads and extends."""

    cache: Cache
    hides_gaps: bool
    """Whether it keeps rows from the slots that shorter prompts leave empty; else a mask must."""

    def store(self, read: DynamicCache, source: Tensor, first: int) -> None:
        """Rows `first` on become copies of the rows `source` of a cache that has read prompts."""

    def drop(self, holes: Tensor, movers: Tensor, left: int) -> None:
        """Rows `movers` take the places `holes`; of all rows the first `left` remain."""


class SlotLayer(DynamicLayer):
    """One layer's keys and values in slots allocated ahead: a step writes one slot, copies none.

    Rows from `rows` on and slots from `length` on mean nothing.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, read: DynamicLayer, rows: int, length: int, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows, self.length = rows, length
        self.keys = _slots(read.keys, rows, length + room)
        self.values = _slots(read.values, rows, length + room)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write this step's tokens; returns all keys and values so far, as views."""
        start, end = self.length, self.length + key_states.shape[-2]
        if end > self.keys.shape[-2]:
            self.keys = self._larger(self.keys, end)
            self.values = self._larger(self.values, end)
        self.length = end
        keys, values = self.keys[: self.rows, :, :end], self.values[: self.rows, :, :end]
        keys[:, :, start:] = key_states
        values[:, :, start:] = value_states
        return keys, values

    def get_seq_length(self) -> int:
        """Slots in use."""
        return self.length

    def store(self, read: DynamicLayer, source: Tensor, first: int) -> None:
        """Copy rows in, right-aligned: every prompt's last token lies in the same slot."""
        rows = slice(first, first + len(source))
        start = self.length - read.get_seq_length()
        for own, past in ((self.keys, read.keys), (self.values, read.values)):
            assert past is not None
            # A masked slot weighs 0, but 0 times a stray NaN would not be 0.
            own[rows, :, :start] = 0
            own[rows, :, start : self.length] = past.index_select(0, source)

    def drop(self, holes: Tensor, movers: Tensor, left: int) -> None:
        """Close the holes with rows from the end: what stays in place is not copied."""
        for own in (self.keys, self.values):
            own[holes, :, : self.length] = own[movers, :, : self.length]
        self.rows = left

    def _larger(self, own: Tensor, least: int) -> Tensor:
        slots = max(least, own.shape[-2] + ROOM, 2 * own.shape[-2])
        grown = _slots(own, self.rows, slots)
        grown[:, :, : self.length] = own[: self.rows, :, : self.length]
        return grown


def _slots(like: Tensor | None, rows: int, slots: int) -> Tensor:
    assert like is not None
    return like.new_empty(rows, like.shape[1], slots, like.shape[3])


class SlotMemory:
    """For plain caches: slots allocated ahead; shorter prompts leave the first ones empty."""

    hides_gaps = False

    def __init__(self, rows: int, longest: int, limit: int) -> None:
        self.cache = Cache(layers=[])
        self._rows, self._longest, self._room = rows, longest, min(ROOM, limit)
        self._layers: list[SlotLayer] = []

    def store(self, read: DynamicCache, source: Tensor, first: int) -> None:
        """Copy prompts in; the first call allocates."""
        past = [layer for layer in read.layers if isinstance(layer, DynamicLayer)]
        if not self._layers:
            self._layers = [
                SlotLayer(layer, self._rows, self._longest, self._room) for layer in past
            ]
            self.cache = Cache(layers=list(self._layers))
        for own, layer in zip(self._layers, past, strict=True):
            own.store(layer, source, first)

    def drop(self, holes: Tensor, movers: Tensor, left: int) -> None:
        """Close the holes in every layer."""
        for layer in self._layers:
            layer.drop(holes, movers, left)


class GatheredMemory:
    """For every other cache: the library's own, whose rows are gathered anew when some finish."""

    hides_gaps = False

    def __init__(self) -> None:
        self.cache: Cache = DynamicCache()

    def store(self, read: DynamicCache, source: Tensor, first: int) -> None:
        """Take over a cache that has read the prompts of every row."""
        assert first == 0, "a gathered cache is stored in one call"
        read.reorder_cache(source)  # type: ignore[arg-type]
        self.cache = read

    def drop(self, holes: Tensor, movers: Tensor, left: int) -> None:
        """Keep the first `left` rows, the holes among them filled."""
        order = arange(left, device=holes.device)
        order[holes] = movers
        self.cache.reorder_cache(order)  # type: ignore[arg-type]
