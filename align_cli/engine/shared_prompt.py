"""One copy of a prompt's keys and values for all of its answers: less memory, less to read.

A row attends to its prompt and to its own tokens apart, and the two are joined exactly:

    softmax([s, t]) [V, W] = (exp(l) softmax(s) V + exp(t) W) / (exp(l) + sum exp(t))

with scores s and t, values V and W of prompt and own tokens, and l = log sum exp(s): a prompt
counts as one token whose score is l (as in flash attention, Dao et al. 2022, arXiv:2205.14135).

Shapes: B rows, G prompts, W most rows of a prompt, H heads of keys, Q queries to each of them,
P slots of prompts, S slots of answers, D width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

from align_cli.engine.attended import Remembered
from align_cli.engine.cache import ROOM
from align_cli.errors import AlignError

TOGETHER = 2**18
"""Products of queries and keys in memory at a time [numbers]; about what a core's cache holds."""


class Siblings:
    """Which rows continue which prompt, and how they lie in a grid [prompts, most siblings]."""

    place_B: Tensor
    """A row's place in the grid, counted along its rows."""

    def __init__(self, prompt_B: npt.NDArray[np.int64], gap_G: Tensor) -> None:
        self._prompt_B = prompt_B
        self.prompts = len(gap_G)
        hidden_GP = torch.arange(int(gap_G.max())) < gap_G[:, None]
        self.hidden_G11P = hidden_GP[:, None, None] if gap_G.any() else None
        """Slots before shorter prompts."""
        self._arrange()

    def _arrange(self) -> None:
        count_G = np.bincount(self._prompt_B)
        self.most = int(count_G.max())
        order_B = np.argsort(self._prompt_B, kind="stable")
        rank_B = np.empty_like(order_B)
        rank_B[order_B] = np.arange(len(order_B)) - np.repeat(count_G.cumsum() - count_G, count_G)
        self.place_B = torch.from_numpy(self._prompt_B * self.most + rank_B)

    def drop(self, holes: Tensor, movers: Tensor, left: int) -> tuple[Tensor, Tensor]:
        """Rows leave as `Memory.drop` says; places that prompts leave empty, and who fills them."""
        self._prompt_B[holes.numpy()] = self._prompt_B[movers.numpy()]
        self._prompt_B = self._prompt_B[:left]
        wanted_G = np.zeros(self.prompts, bool)
        wanted_G[self._prompt_B] = True
        self.prompts = int(wanted_G.sum())
        places = np.flatnonzero(~wanted_G[: self.prompts])
        moved = self.prompts + np.flatnonzero(wanted_G[self.prompts :])
        if len(moved):
            number_G = np.arange(len(wanted_G))
            number_G[moved] = places
            self._prompt_B = number_G[self._prompt_B]
        self._arrange()
        holes, movers = torch.from_numpy(places), torch.from_numpy(moved)
        if self.hidden_G11P is not None and len(moved):
            self.hidden_G11P[holes] = self.hidden_G11P[movers]
        return holes, movers

    def grid(self, of_BHQX: Tensor) -> Tensor:
        """[B, H, Q, X] -> [G, H, W * Q, X], zero where a prompt has fewer rows."""
        _, heads, queries, width = of_BHQX.shape
        grid = of_BHQX.new_zeros(self.prompts * self.most, heads, queries, width)
        grid.index_copy_(0, self.place_B, of_BHQX)
        shape = (self.prompts, self.most, heads, queries, width)
        return grid.view(shape).transpose(1, 2).reshape(self.prompts, heads, -1, width)

    def rows(self, grid: Tensor) -> Tensor:
        """[G, H, W * Q, X] -> [B, H, Q, X]."""
        prompts, heads, _, width = grid.shape
        apart = grid.view(prompts, heads, self.most, -1, width).transpose(1, 2).flatten(0, 1)
        return apart.index_select(0, self.place_B)


class SharedLayer(DynamicLayer):
    """One layer's keys and values: of prompts once each, of answers in slots ahead.

    A slot holds one token of every row, so that a step reads and writes memory in order: of a small
    model, one product for each row and head would take twice the time.
    """

    def __init__(
        self, read: DynamicLayer, rows: int, longest: int, room: int, to: Siblings
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._siblings, self._longest, self._rows, self._length = to, longest, rows, 0
        self._own, self._prompts = [], []
        for past in (read.keys, read.values):
            assert past is not None
            _, heads, _, width = past.shape
            self._own.append(past.new_empty(room, rows, heads, width))
            # A hidden slot weighs 0, but 0 times a stray NaN would not be 0.
            self._prompts.append(past.new_zeros(to.prompts, heads, longest, width))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write this step's tokens; returns the answers' keys and values, to be attended to."""
        start, self._length = self._length, self._length + key_states.shape[-2]
        made = []
        for at, states in enumerate((key_states, value_states)):
            if self._length > len(self._own[at]):
                self._own[at] = self._larger(self._own[at], start)
            own_SBHD = self._own[at][: self._length, : self._rows]
            own_SBHD[start:] = states.permute(2, 0, 1, 3)
            made.append(Remembered.by(self, own_SBHD.permute(1, 2, 0, 3)))
        return made[0], made[1]

    def _larger(self, own: Tensor, used: int) -> Tensor:
        grown = own.new_empty(2 * len(own), self._rows, *own.shape[2:])
        grown[:used] = own[:used, : self._rows]
        return grown

    def get_seq_length(self) -> int:
        """Slots in use."""
        return self._longest + self._length

    def store(self, read: DynamicLayer, first: int) -> None:
        """Copy prompts in, right-aligned."""
        for own, past in zip(self._prompts, (read.keys, read.values), strict=True):
            assert past is not None
            own[first : first + len(past), :, self._longest - past.shape[-2] :] = past

    def drop(self, holes: Tensor, movers: Tensor, left: int) -> None:
        """Close the holes that rows leave."""
        for own in self._own:
            own[: self._length, holes] = own[: self._length, movers]
        self._rows = left

    def drop_prompts(self, holes: Tensor, movers: Tensor) -> None:
        """Close the holes that prompts without rows leave."""
        for prompts in self._prompts:
            prompts[holes] = prompts[movers]

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Every query's attention to its row's prompt and own tokens."""
        if attn_mask is not None or dropout_p or is_causal:
            self.used_otherwise(self.attend)
        rows, heads, length, width = query.shape
        scaled = query * (width**-0.5 if scale is None else scale)
        query_BHQD = scaled.reshape(rows, key.shape[1], -1, width)
        out_BHQD, prompt_BHQ = self._attend_to_prompts(query_BHQD)
        key_SBH1D, value_SBH1D = (own.permute(2, 0, 1, 3).unsqueeze(3) for own in (key, value))
        size = max(1, TOGETHER // query.numel())
        slots = [slice(at, at + size) for at in range(0, len(key_SBH1D), size)]
        score_SBHQ = torch.cat([(key_SBH1D[some] * query_BHQD).sum(-1) for some in slots])
        top_BHQ = torch.maximum(score_SBHQ.amax(0), prompt_BHQ)
        weight_SBHQ = score_SBHQ.sub_(top_BHQ).exp_()
        prompt_BHQ = prompt_BHQ.sub_(top_BHQ).exp_()
        out_BHQD = out_BHQD.mul_(prompt_BHQ[..., None])
        for some in slots:
            out_BHQD += (value_SBH1D[some] * weight_SBHQ[some, ..., None]).sum(0)
        out_BHQD /= weight_SBHQ.sum(0).add_(prompt_BHQ)[..., None]
        return out_BHQD.view(rows, heads, length, -1)

    def _attend_to_prompts(self, query_BHQD: Tensor) -> tuple[Tensor, Tensor]:
        """Attention to prompts alone [B, H, Q, D], and log sum exp of their scores [B, H, Q]."""
        siblings = self._siblings
        keys, values = (prompts[: siblings.prompts] for prompts in self._prompts)
        score = siblings.grid(query_BHQD) @ keys.transpose(-1, -2)
        if siblings.hidden_G11P is not None:
            hidden = siblings.hidden_G11P[: siblings.prompts]
            score[..., : hidden.shape[-1]].masked_fill_(hidden, -torch.inf)
        top = score.amax(-1, keepdim=True)
        weight = score.sub_(top).exp_()
        total = weight.sum(-1, keepdim=True)
        out = (weight @ values).div_(total)
        return siblings.rows(out), siblings.rows(total.log_().add_(top)).squeeze(-1)

    def used_otherwise(self, function: Callable[..., Any]) -> None:
        """Refused: it would see the answers without their prompts."""
        raise AlignError(
            "engine=native: this model reads prompts by plain attention but continues them by "
            f"something else ({function}), which is not known how to do; choose another engine"
        )


class SharedMemory:
    """For plain caches of models that attend plainly, where several rows continue a prompt."""

    hides_gaps = True

    def __init__(self, lengths: Sequence[int], copies: Sequence[int], limit: int) -> None:
        """Prompts of these lengths, of which the last is longest, for so many rows each."""
        self.cache = Cache(layers=[])
        self._longest, self._limit = lengths[-1], limit
        self._siblings = Siblings(
            np.arange(len(copies)).repeat(copies), self._longest - torch.tensor(lengths)
        )
        self._rows, self._stored = sum(copies), 0
        self._layers: list[SharedLayer] = []

    def store(self, read: DynamicCache, source: Tensor, first: int) -> None:
        """Copy the next prompts in; the first call allocates."""
        past = [layer for layer in read.layers if isinstance(layer, DynamicLayer)]
        if not self._layers:
            room = min(ROOM, self._limit)
            self._layers = [
                SharedLayer(layer, self._rows, self._longest, room, self._siblings)
                for layer in past
            ]
            self.cache = Cache(layers=list(self._layers))
        for own, layer in zip(self._layers, past, strict=True):
            own.store(layer, self._stored)
        self._stored += int(source[-1]) + 1

    def drop(self, holes: Tensor, movers: Tensor, left: int) -> None:
        """Close the holes in every layer, among rows and among prompts."""
        emptied, moved = self._siblings.drop(holes, movers, left)
        for layer in self._layers:
            layer.drop(holes, movers, left)
            if len(emptied):
                layer.drop_prompts(emptied, moved)
