"""One wave, token by token, until every row has stopped.

Shapes: B rows still going, V vocabulary, S slots.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from align_cli.engine.cache import CacheKind
from align_cli.engine.prefill import prefill
from align_cli.engine.sampling import sample
from align_cli.engine.waves import Request
from align_cli.errors import NonFinite
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Generated
from align_cli.seeds import uniforms

Ints = npt.NDArray[np.int64]


def decode(
    model: LanguageModel,
    wave: Sequence[Request],
    kind: CacheKind,
    advance: Callable[[int, int], None],
) -> list[Generated]:
    """Continue every prompt of the wave, in its order; a wave is sorted by prompt length.

    A row that stops is dropped at once, so a step computes only what is still wanted.
    """
    network = model.network
    memory, logits_BV = prefill(network, wave, kind)
    rows = _Rows(wave, network.device)
    record = _Record(wave, model.stop_ids)
    for step in range(max(request.limit for request in wave)):
        uniforms_B = torch.from_numpy(uniforms(rows.key_B, step))
        token_B, logp_B = sample(logits_BV, uniforms_B, wave[0].rule)
        done_B = record.add(step, rows.number_B, token_B, logp_B)
        left = int((~done_B).sum())
        advance(len(done_B) - left, len(done_B))
        if left == 0:
            break
        if left < len(done_B):
            holes = np.flatnonzero(done_B[:left])
            movers = left + np.flatnonzero(~done_B[left:])
            holes_on = torch.from_numpy(holes).to(network.device)
            memory.drop(holes_on, torch.from_numpy(movers).to(network.device), left)
            rows.drop(holes, movers, left)
        logits_BV = network(
            input_ids=record.tokens(step, rows.number_B).to(network.device)[:, None],
            past_key_values=memory.cache,
            use_cache=True,
            **rows.mask_and_positions(step, masked=not memory.hides_gaps),
        ).logits[:, -1]
    return record.generated()


class _Rows:
    """Which request each row of the batch is, and what a step needs to know of it."""

    def __init__(self, wave: Sequence[Request], device: torch.device) -> None:
        self.number_B = np.arange(len(wave))
        self.key_B = np.array([request.key for request in wave], dtype=np.uint64)
        self._device = device
        self._longest = len(wave[-1].prompt)
        self._gap_B = np.array([self._longest - len(request.prompt) for request in wave])
        """Slots that a prompt leaves empty before it."""

    def drop(self, holes: Ints, movers: Ints, left: int) -> None:
        """Move rows into the holes and keep the first `left`."""
        for column in (self.number_B, self.key_B, self._gap_B):
            column[holes] = column[movers]
        self.number_B, self.key_B = self.number_B[:left], self.key_B[:left]
        self._gap_B = self._gap_B[:left]

    def mask_and_positions(self, step: int, *, masked: bool) -> dict[str, Tensor]:
        """For the token of this step; nothing where all rows are aligned, the faster case."""
        if not self._gap_B.any():
            return {}
        slot = self._longest + step
        gap_B1 = torch.from_numpy(self._gap_B).to(self._device)[:, None]
        positions = {"position_ids": slot - gap_B1}
        if not masked:
            return positions
        mask_BS = torch.arange(slot + 1, device=self._device) >= gap_B1
        return {"attention_mask": mask_BS.long(), **positions}


class _Record:
    """What has been sampled, by request."""

    def __init__(self, wave: Sequence[Request], stop_ids: tuple[int, ...]) -> None:
        self._wave, self._stop_ids = wave, stop_ids
        self._limit = np.array([request.limit for request in wave])
        shape = (len(wave), int(self._limit.max()))
        self._tokens, self._logps = np.zeros(shape, np.int64), np.zeros(shape, np.float64)
        self._length = np.zeros(len(wave), np.int64)
        self._stopped = np.zeros(len(wave), bool)

    def add(
        self, step: int, number_B: Ints, token_B: Tensor, logp_B: Tensor
    ) -> npt.NDArray[np.bool_]:
        """Note a step's tokens; which rows are done with it."""
        tokens, logps = token_B.cpu().numpy(), logp_B.cpu().numpy()
        if not np.isfinite(logps).all():
            request = self._wave[number_B[np.flatnonzero(~np.isfinite(logps))[0]]]
            raise NonFinite(
                f"prompt {request.prompt_id}: the policy's logits at answer token {step} are not "
                "finite; check its weights and dtype"
            )
        self._tokens[number_B, step], self._logps[number_B, step] = tokens, logps
        self._length[number_B] = step + 1
        stopped_B = np.logical_or.reduce([tokens == stop for stop in self._stop_ids])
        self._stopped[number_B] = stopped_B
        done_B: npt.NDArray[np.bool_] = stopped_B | (self._limit[number_B] == step + 1)
        return done_B

    def tokens(self, step: int, number_B: Ints) -> Tensor:
        """What these requests' rows emitted at a step."""
        return torch.from_numpy(self._tokens[number_B, step])

    def generated(self) -> list[Generated]:
        """One per request, in the wave's order."""
        return [
            Generated(
                prompt_token_ids=request.prompt,
                token_ids=tuple(self._tokens[number, :length].tolist()),
                logps=tuple(self._logps[number, :length].tolist()),
                finish="stop" if self._stopped[number] else "length",
            )
            for number, (request, length) in enumerate(
                zip(self._wave, self._length.tolist(), strict=True)
            )
        ]
