"""Placeholder."""
from typing import Any
def forward_flops(network: Any, tokens: int, context: float) -> float:
    """Rough."""
    return 2.0 * sum(p.numel() for p in network.parameters()) * tokens
