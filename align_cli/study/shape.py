"""A model's shape from its files' headers: no weight is read and torch is not imported.

The numbers of align_cli/model/flops.py, for models whose configuration is plain enough.
"""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

EMBEDDINGS = ("embed_tokens", "wte", "wpe", "embed_in", "word_embeddings")
HEAD = "lm_head"


@dataclass(frozen=True)
class Shape:
    """What a forward pass costs."""

    trunk: int
    """Matrix weights between embedding and output layer."""
    head: int
    """Weights of the output layer."""
    attention: int
    """Heads x head width, summed over layers."""

    def flops(self, tokens: float, context: float) -> float:
        """Of one forward pass over tokens that attend to `context` each [FLOP]."""
        return 2 * (self.trunk + self.head) * tokens + 4 * self.attention * context * tokens


def shape_of(path: str) -> Shape | None:
    """The shape of a local or bundled policy; None where its files do not say."""
    folder = Path(__file__).resolve().parent.parent / "policy" / path.removeprefix("package:")
    folder = folder if path.startswith("package:") else Path(path).expanduser()
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        sizes = _sizes(folder)
    except (OSError, ValueError):
        return None
    needed = ("num_hidden_layers", "num_attention_heads", "hidden_size", "vocab_size")
    if not sizes or any(key not in config for key in needed) or "num_experts" in config:
        return None
    heads = config["num_attention_heads"]
    width = heads * (config.get("head_dim") or config["hidden_size"] // heads)
    matrices = {name: prod(size) for name, size in sizes.items() if len(size) > 1}
    trunk = sum(n for name, n in matrices.items() if not _is(name, (*EMBEDDINGS, HEAD)))
    head = config["hidden_size"] * config["vocab_size"]
    return Shape(trunk, head, width * config["num_hidden_layers"])


def _is(name: str, parts: tuple[str, ...]) -> bool:
    return any(part in parts for part in name.split("."))


def _sizes(folder: Path) -> dict[str, list[int]]:
    """{tensor: its dimensions} of every safetensors file: 8 bytes of length, then JSON."""
    found: dict[str, list[int]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        found |= {k: v["shape"] for k, v in header.items() if k != "__metadata__"}
    return found
