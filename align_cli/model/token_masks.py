"""A weight for every token, learned from all layers of another model's hidden states."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import relu

FILE = "token_masks.safetensors"
"""Beside the policy it was trained with."""


class TokenMask(nn.Module):
    """m_t = relu(sum over layers l of c_l relu(w_l . norm(h_tl) + v_l)), at least 0.

    Source: Christopoulou et al. 2024, arXiv:2410.05102, and its authors' code. c starts at
    1 / layers and v at 1, so that a fresh mask is open and can learn: **reconstruction**.
    """

    def __init__(self, layers: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        weight_LD = torch.randn(layers, width, generator=generator) / width**0.5
        self.weight_LD = nn.Parameter(weight_LD)
        self.bias_L = nn.Parameter(torch.ones(layers))
        self.mixer_L = nn.Parameter(torch.full((layers,), 1.0 / layers))

    def forward(self, states_NLD: Tensor) -> Tensor:
        """[N] weights of N tokens."""
        each_NL = (self.norm(states_NLD) * self.weight_LD).sum(-1) + self.bias_L
        weight_N: Tensor = relu((relu(each_NL) * self.mixer_L).sum(-1))
        return weight_N


class TokenMasks(nn.Module):
    """Two masks: over rewards, and over KLs."""

    def __init__(self, layers: int, width: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed >> 1)
        self.reward = TokenMask(layers, width, generator)
        self.kl = TokenMask(layers, width, generator)

    def save(self, folder: Path) -> None:
        """Write the weights into a policy's folder."""
        tensors = {name: each.detach().cpu() for name, each in self.state_dict().items()}
        save_file(tensors, folder / FILE)

    def take_up(self, folder: Path) -> None:
        """Go on from the masks in a policy's folder, if it has any."""
        if (folder / FILE).is_file():
            self.load_state_dict(load_file(folder / FILE))
