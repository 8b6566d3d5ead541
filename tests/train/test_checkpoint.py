"""Training state: what is read back is what was saved, and a crash leaves the state before."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from align_cli.errors import CorruptStage, NonFinite
from align_cli.train.checkpoint import load_training, save_training
from align_cli.train.optimiser import adamw, update

SETTINGS = {"weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8}


class Tied(nn.Module):
    """Embedding and head share their matrix, as in the bundled policy; `spare` never trains."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight
        self.spare = nn.Linear(4, 4)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.norm(self.frozen(self.embed(ids))))


def train(network: nn.Module, optimiser: torch.optim.AdamW, steps: range) -> None:
    for step in steps:
        ids = torch.tensor([step % 7, (3 * step) % 7])
        cross_entropy(network(ids), (ids + 1) % 7).backward()
        update(optimiser, learning_rate=0.1 / (step + 1), clip_norm=0.5, where=f"step {step}")


def bits(network: nn.Module) -> list[list[int]]:
    return [p.detach().view(torch.int32).flatten().tolist() for p in network.parameters()]


def test_a_resumed_training_continues_bit_for_bit(tmp_path: Path) -> None:
    straight = Tied()
    train(straight, adamw(straight, **SETTINGS), range(9))

    begun = Tied()
    optimiser = adamw(begun, **SETTINGS)
    train(begun, optimiser, range(5))
    save_training(tmp_path, begun, optimiser, 5)

    resumed = Tied()
    optimiser = adamw(resumed, **SETTINGS)
    assert load_training(tmp_path, resumed, optimiser) == 5
    train(resumed, optimiser, range(5, 9))
    assert bits(resumed) == bits(straight)


def test_what_never_trains_is_not_stored(tmp_path: Path) -> None:
    network = Tied()
    optimiser = adamw(network, **SETTINGS)
    train(network, optimiser, range(1))
    save_training(tmp_path, network, optimiser, 1)
    names = set(load_file(tmp_path / "step_00000001.safetensors"))
    assert {name for name in names if "/" not in name} == {
        "embed.weight", "norm.weight", "norm.bias", "spare.weight", "spare.bias",
    }  # fmt: skip
    # `spare` may train but had no gradient; the tied head is the embedding.
    assert {name for name in names if name.startswith("exp_avg/")} == {
        "exp_avg/embed.weight", "exp_avg/norm.weight", "exp_avg/norm.bias",
    }  # fmt: skip


def test_without_a_record_nothing_is_loaded(tmp_path: Path) -> None:
    network = Tied()
    before = bits(network)
    assert load_training(tmp_path / "absent", network, adamw(network, **SETTINGS)) is None
    assert bits(network) == before


@pytest.mark.parametrize("rename", [0, 1])
def test_a_crash_before_either_rename_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rename: int
) -> None:
    network = Tied()
    optimiser = adamw(network, **SETTINGS)
    train(network, optimiser, range(2))
    save_training(tmp_path, network, optimiser, 2)
    saved = bits(network)
    train(network, optimiser, range(2, 4))

    replace, calls = os.replace, iter(range(2))

    def crash(part: Path, file: Path) -> None:
        if next(calls) == rename:
            raise KeyboardInterrupt
        replace(part, file)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save_training(tmp_path, network, optimiser, 4)
    monkeypatch.undo()

    again = Tied(seed=1)
    optimiser = adamw(again, **SETTINGS)
    assert load_training(tmp_path, again, optimiser) == 2
    assert bits(again)[0] == saved[0]
    save_training(tmp_path, again, optimiser, 4)
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "step_00000004.safetensors",
        "training.json",
    ]


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    network = Tied()
    optimiser = adamw(network, **SETTINGS)
    save_training(tmp_path, network, optimiser, 1)
    wider = Tied()
    wider.spare = nn.Linear(8, 4)
    for other in (nn.Linear(4, 4), wider):
        with pytest.raises(CorruptStage, match="another network"):
            load_training(tmp_path, other, adamw(other, **SETTINGS))

    file = tmp_path / json.loads((tmp_path / "training.json").read_text())["file"]
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(CorruptStage, match="its record says"):
        load_training(tmp_path, network, optimiser)
    file.unlink()
    with pytest.raises(CorruptStage, match="cannot be read"):
        load_training(tmp_path, network, optimiser)


def test_an_update_is_the_written_one() -> None:
    # One parameter, first step: Adam's direction is sign(g), decay acts on matrices only.
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(3.0)
    optimiser = adamw(network, weight_decay=0.5, beta1=0.9, beta2=0.99, eps=0.0)
    network(torch.tensor([[3.0]])).sum().backward()
    norm = update(optimiser, learning_rate=0.1, clip_norm=1.0, where="test")
    assert norm == pytest.approx(10.0**0.5)
    assert network.weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1)
    assert network.bias.item() == pytest.approx(3.0 - 0.1)
    assert network.weight.grad is None


def test_a_gradient_that_is_not_finite_moves_no_weight() -> None:
    network = Tied()
    optimiser = adamw(network, **SETTINGS)
    before = bits(network)
    (network(torch.tensor([1])).sum() * float("nan")).backward()
    with pytest.raises(NonFinite, match="step 3"):
        update(optimiser, learning_rate=0.1, clip_norm=None, where="step 3")
    assert bits(network) == before
