"""The cost ledger: what a stage took, in tokens, FLOPs, seconds and bytes."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class Cost:
    """Sums of what work took; `peak_bytes` alone is a maximum."""

    prompt_tokens: int = 0
    """Tokens read before sampling, each distinct prompt of a batch once."""
    generated_tokens: int = 0
    trained_tokens: int = 0
    """Tokens seen by the optimiser, every epoch counted."""
    scored_tokens: int = 0
    """Tokens whose log-probs were computed without sampling or training."""
    forward_flops: float = 0.0
    backward_flops: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of this process and its finished children."""
    peak_bytes: int = 0
    """Largest resident memory so far, on the accelerator where there is one."""
    verifier_calls: int = 0

    def add(self, other: "Cost") -> None:
        """Add another cost to this one."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            joined = max(mine, theirs) if field.name == "peak_bytes" else mine + theirs
            setattr(self, field.name, joined)

    def to_json(self) -> dict[str, float]:
        """Plain numbers by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, float]) -> "Cost":
        """The inverse of `to_json`."""
        return cls(**values)  # type: ignore[arg-type]


@contextmanager
def measured() -> Iterator[Cost]:
    """A cost whose seconds and memory are filled in when the block ends."""
    cost = Cost()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    try:
        yield cost
    finally:
        cost.wall_seconds += time.perf_counter() - wall
        cost.cpu_seconds += _cpu_seconds() - cpu
        cost.peak_bytes = max(cost.peak_bytes, _peak_bytes())


def _cpu_seconds() -> float:
    own = time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own + children.ru_utime + children.ru_stime


def _peak_bytes() -> int:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
