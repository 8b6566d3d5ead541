"""A model with its tokenizer -> a plain transformers folder."""

import os
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel


def save_folder(network: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    """Write safetensors, configuration and tokenizer, which any other tool can load."""
    network.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    # Weights are written for their owner alone; a store is shared as far as the umask allows.
    readable = 0o666 & ~_umask()
    for file in folder.glob("*.safetensors"):
        file.chmod(readable)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
