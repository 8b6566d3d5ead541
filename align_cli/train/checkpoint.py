"""Training state on disk: weights and AdamW's moments, whole or absent, never a pickle.

    folder/step_00000500.safetensors   weights, moments, step counts
    folder/training.json               names that file; renamed into place last

A crash between the two leaves the record of the checkpoint before, and the file it names.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from align_cli.errors import CorruptStage
from align_cli.store.stage import settle, write_text

RECORD = "training.json"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_training(folder: Path, network: nn.Module, optimiser: AdamW, step: int) -> None:
    """Record that `step` updates are done; the checkpoint before it is removed afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"step_{step:08d}.safetensors"
    part = file.with_suffix(".part")
    save_file(_training_tensors(network, optimiser), part)
    settle(part, file)
    record = {"step": step, "file": file.name, "bytes": file.stat().st_size}
    write_text(folder / RECORD, json.dumps(record) + "\n")
    for stale in folder.glob("step_*"):
        if stale != file:
            stale.unlink()


def load_training(folder: Path, network: nn.Module, optimiser: AdamW) -> int | None:
    """Put the recorded weights and moments back in place; the number of updates done, or None.

    None means that no checkpoint was completed: network and optimiser are untouched.
    """
    record_file = folder / RECORD
    if not record_file.exists():
        return None
    record = json.loads(record_file.read_text())
    tensors = _read(folder / record["file"], record["bytes"])
    wanted = _training_names(network)
    strange = [n for n, t in wanted.items() if n not in tensors or tensors[n].shape != t.shape]
    if strange:
        raise CorruptStage(
            f"{folder}: the checkpoint is of another network, {strange[:3]} do not fit; "
            "delete the folder to start this training again"
        )
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(tensors[name])
    _restore_moments(network, optimiser, tensors)
    return int(record["step"])


def _training_names(network: nn.Module) -> dict[str, Tensor]:
    """Everything training may change: trained parameters (tied ones once), persistent buffers."""
    kept = network.state_dict().keys()
    buffers = {name: b for name, b in network.named_buffers() if name in kept}
    return {n: p for n, p in network.named_parameters() if p.requires_grad} | buffers


def _training_tensors(network: nn.Module, optimiser: AdamW) -> dict[str, Tensor]:
    tensors = dict(_training_names(network))
    for name, parameter in network.named_parameters():
        for moment, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{moment}/{name}"] = value
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _restore_moments(network: nn.Module, optimiser: AdamW, tensors: dict[str, Tensor]) -> None:
    """Through load_state_dict, which knows on which device each moment belongs."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    packed = optimiser.state_dict()
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    state = {
        number: {moment: tensors[f"{moment}/{names[id(parameter)]}"] for moment in MOMENTS}
        for number, parameter in enumerate(trained)
        # A parameter that never had a gradient has no moments.
        if f"step/{names[id(parameter)]}" in tensors
    }
    optimiser.load_state_dict({"state": state, "param_groups": packed["param_groups"]})


def _read(file: Path, size: int) -> dict[str, Tensor]:
    try:
        found = file.stat().st_size
        if found != size:
            raise CorruptStage(
                f"{file} has {found} bytes, its record says {size}; delete {file.parent} to start "
                "this training again"
            )
        return load_file(file)
    except (FileNotFoundError, SafetensorError) as error:
        raise CorruptStage(
            f"{file} cannot be read ({error}); delete {file.parent} to start this training again"
        ) from error
