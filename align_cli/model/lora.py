"""Low-rank adapters on a frozen backbone, through peft: put on before training, merged after it."""

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from align_cli.errors import ConfigError
from align_cli.model.flops import forget_shape


def check_installed(setting: str) -> None:
    """Refuse a rank where peft is not installed."""
    if find_spec("peft") is None:
        raise ConfigError(
            f"{setting}: LoRA is trained through peft, which is not installed; "
            "pip install 'align-cli[lora]', or set it to null to train all weights"
        )


def add_lora(network: PreTrainedModel, *, rank: int, alpha: int, seed: int) -> Any:
    """Freeze the backbone and put an adapter on each of its linear layers; the head trains whole.

        W x  ->  W x + (alpha / rank) B A x        A: [rank, in], B: [out, rank], B = 0 at first

    `network` is changed in place; what is returned knows how to take the adapters off. A is drawn
    from `seed` as peft draws it.

    Source: Hu et al. 2021, arXiv:2106.09685 (LoRA).
    """
    from peft import LoraConfig, get_peft_model

    backbone = network.base_model
    names = {
        name.rpartition(".")[2]
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Linear)
    }
    if not names:
        raise ConfigError(
            f"train.lora_rank: {type(network).__name__} has no linear layer for an adapter; set "
            "it to null"
        )
    head = [
        weight
        for name, weight in network.named_parameters()
        if not name.startswith(f"{network.base_model_prefix}.")
    ]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft asks transformers for a property by the name that it had before.
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(seed >> 1)
        adapted = get_peft_model(
            network, LoraConfig(r=rank, lora_alpha=alpha, target_modules=sorted(names))
        )
    # peft freezes all but its own.
    for weight in head:
        weight.requires_grad_(True)
    return adapted


def merge_lora(adapted: Any) -> None:
    """Add the adapters to the weights that they are on, in place: a plain network again."""
    network = adapted.merge_and_unload()
    network.requires_grad_(True)
    forget_shape(network)
