"""The number type of weights on disk."""

import json
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def store_as(folder: Path, dtype: Literal["float32", "bfloat16", "float16"]) -> None:
    """Rewrite a transformers folder's weights in `dtype`, file by file; integers stay.

    A file that is of that type already is left as it is, links included.
    """
    wanted = getattr(torch, dtype)
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
            metadata = weights.metadata()
        if all(t.dtype == wanted for t in tensors.values() if t.is_floating_point()):
            continue
        part = file.with_suffix(".part")
        cast = {n: t.to(wanted) if t.is_floating_point() else t for n, t in tensors.items()}
        save_file(cast, part, metadata=metadata)
        part.replace(file)
    config = json.loads((folder / "config.json").read_text())
    config.pop("torch_dtype", None)
    config["dtype"] = dtype
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
