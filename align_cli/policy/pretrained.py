"""A policy that exists: a transformers folder, a model of the hub, or one bundled with align."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from transformers import CONFIG_MAPPING, AutoTokenizer

from align_cli.errors import ConfigError
from align_cli.model.locate import INDEX, SMALL_FILES, WEIGHTS, located_or_bundled
from align_cli.policy.dtype import store_as

LINK_BYTES = 2**30
"""Local files from this size on are linked, not copied."""


def pretrained(
    folder: Path,
    seed: int,
    *,
    path: str,
    dtype: Literal["stored", "float32", "bfloat16", "float16"],
    revision: str | None = None,
) -> None:
    """Bring a trained policy into the run: configuration, tokenizer and safetensors weights.

    Pickled weights are never read and a model's own code is never run. Files of the hub's cache
    and local files of 1 GiB and more are hard-linked where the file system can; do not change
    such files in place. The seed is not used: nothing here is random.

    Settings:
        path: a folder, a hub name such as Qwen/Qwen2.5-0.5B-Instruct, or package:tiny.
        dtype: type of the weights; bfloat16 rounds small updates away, stored is as published.
        revision: branch, tag or commit of a hub model; null is its main branch.
    """
    source, cached = located_or_bundled(path, revision, group="policy")
    _check(source, path)
    folder.mkdir(parents=True, exist_ok=True)
    for file in _files(source, path):
        _place(file, folder / file.name, link=cached or file.stat().st_size >= LINK_BYTES)
    if dtype != "stored":
        store_as(folder, dtype)
    try:
        AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"policy.path {path}: its tokenizer cannot be read: {error}") from error


def _check(source: Path, path: str) -> None:
    """Whether transformers can build it from safetensors, without code of its own."""
    if (source / "adapter_config.json").exists() and not (source / "config.json").exists():
        raise ConfigError(f"policy.path {path} is an adapter; merge it into its base model first")
    config = _read_json(source / "config.json", path)
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise ConfigError(
            f"policy.path {path}: transformers has no architecture {kind!r}; a model's own code is "
            "never run"
        )
    if not any((source / name).exists() for name in (WEIGHTS, INDEX)):
        pickled = sorted(f.name for f in source.glob("*.bin"))
        found = f", only {pickled}, and pickles are never loaded" if pickled else ""
        raise ConfigError(
            f"policy.path {path} has neither {WEIGHTS} nor {INDEX}{found}; save it with "
            "save_pretrained, which writes safetensors"
        )


def _files(source: Path, path: str) -> Iterator[Path]:
    yield from (source / name for name in SMALL_FILES if (source / name).is_file())
    if (source / WEIGHTS).exists():
        yield source / WEIGHTS
        return
    yield source / INDEX
    for name in sorted(set(_read_json(source / INDEX, path)["weight_map"].values())):
        if Path(name).name != name or not (source / name).is_file():
            raise ConfigError(f"policy.path {path}: {INDEX} names {name}, which is not there")
        yield source / name


def _read_json(file: Path, path: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"policy.path {path} is not a transformers folder: {file.name} cannot be read ({error})"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"policy.path {path}: {file.name} holds no table")
    return content


def _place(file: Path, target: Path, *, link: bool) -> None:
    target.unlink(missing_ok=True)
    if link:
        try:
            os.link(file.resolve(), target)
            return
        except OSError:
            # Another file system: only a copy can cross it.
            pass
    shutil.copyfile(file, target)
