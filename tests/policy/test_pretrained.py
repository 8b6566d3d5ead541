"""Trained policies: what is brought along, what is refused, and what the message says."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from align_cli.errors import ConfigError
from align_cli.model.language_model import LanguageModel
from align_cli.policy import pretrained as module
from align_cli.policy.pretrained import pretrained
from align_cli.policy.scratch import scratch


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    scratch(folder, 0, tokenizer="characters", layers=1, width=8, heads=2, mlp_width=8, window=32)
    return folder


def test_a_folder_comes_over_whole_and_without_strangers(source: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    shutil.copytree(source, given)
    for stranger in ("record.json", "steps.jsonl", "training_args.bin", "modeling.py"):
        (given / stranger).write_text("{}")
    here = tmp_path / "here"
    pretrained(here, 0, path=str(given), dtype="float32")
    assert sorted(f.name for f in here.iterdir()) == sorted(f.name for f in source.iterdir())
    for file in source.iterdir():
        if file.name != "config.json":
            assert (here / file.name).read_bytes() == file.read_bytes()
    before, after = (LanguageModel.load(f, device="cpu").network for f in (given, here))
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters()))  # noqa: B905
    # A copy: what happens to the given folder later changes nothing here.
    assert (here / "model.safetensors").stat().st_nlink == 1


def test_large_weights_are_linked(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINK_BYTES", 1000)
    pretrained(tmp_path, 0, path=str(source), dtype="stored")
    assert (tmp_path / "model.safetensors").samefile(source / "model.safetensors")
    assert not (tmp_path / "generation_config.json").samefile(source / "generation_config.json")

    # Changing the type makes a file of its own and leaves the source alone.
    before = (source / "model.safetensors").read_bytes()
    pretrained(tmp_path, 0, path=str(source), dtype="bfloat16")
    assert (source / "model.safetensors").read_bytes() == before
    cast = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in cast.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    for name, tensor in load_file(source / "model.safetensors").items():
        assert torch.equal(cast[name], tensor.to(torch.bfloat16))


def test_weights_in_several_files(source: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    shutil.copytree(source, given)
    tensors = load_file(given / "model.safetensors")
    (given / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, inside in parts.items():
        save_file({n: tensors[n] for n in inside}, given / file, metadata={"format": "pt"})
    weight_map = {name: file for file, inside in parts.items() for name in inside}
    index = given / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (given / "other.safetensors").write_bytes(b"not asked for")
    pretrained(tmp_path / "here", 0, path=str(given), dtype="float32")
    assert not (tmp_path / "here" / "other.safetensors").exists()
    network = LanguageModel.load(tmp_path / "here", device="cpu").network
    assert all(torch.equal(network.state_dict()[n], t) for n, t in tensors.items())

    (tmp_path / "model-9.safetensors").write_bytes(b"outside")
    weight_map[names[0]] = "../model-9.safetensors"
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ConfigError, match=r"names \.\./model-9.safetensors, which is not there"):
        pretrained(tmp_path / "no", 0, path=str(given), dtype="float32")


def test_the_bundled_policy_adds(tmp_path: Path) -> None:
    pretrained(tmp_path, 0, path="package:tiny", dtype="float32")
    model = LanguageModel.load(tmp_path, device="cpu")
    assert sum(p.numel() for p in model.network.parameters()) < 1_000_000
    size = sum(f.stat().st_size for f in tmp_path.iterdir())
    assert size <= 2_000_000
    from align_cli.rows import Message

    ids = list(model.encode_prompt((Message("user", "12+3-4"),)))
    with torch.inference_mode():
        for _ in range(24):
            ids.append(int(model.network(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] in model.stop_ids:
                break
    assert model.decode(ids).endswith("12+3=15;15-4=11#11")


def test_what_cannot_be_loaded_is_refused(source: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"

    def refused(match: str, **changes: object) -> None:
        with pytest.raises(ConfigError, match=match):
            pretrained(tmp_path / "here", 0, **{"path": str(given), "dtype": "float32", **changes})

    refused("there is no such folder$", path=str(tmp_path / "absent"))
    refused("the hub cannot be reached", path="nobody/nothing")
    refused("'package:tiny'", path="package:huge")
    refused("'package:tiny'", path="package:../policy/tiny")
    shutil.copytree(source, given)
    refused("which has no revisions", revision="main")

    (given / "model.safetensors").rename(given / "pytorch_model.bin")
    refused("pickles are never loaded")
    config = json.loads((given / "config.json").read_text())
    (given / "config.json").write_text(json.dumps({**config, "model_type": "my_own"}))
    refused("no architecture 'my_own'; a model's own code is never run")
    (given / "config.json").write_text("[]")
    refused("holds no table")
    (given / "config.json").unlink()
    refused("config.json cannot be read")
    (given / "adapter_config.json").write_text("{}")
    refused("is an adapter")


def test_a_tokenizer_that_is_not_there_is_found_out_at_once(source: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(source / name, given)
    with pytest.raises(ConfigError, match="its tokenizer cannot be read"):
        pretrained(tmp_path / "here", 0, path=str(given), dtype="float32")
