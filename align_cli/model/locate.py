"""A path or a name -> the folder that holds a transformers model."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from align_cli.errors import ConfigError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "chat_template.json",
    "chat_template.jinja",
)
"""Configuration and tokenizer, in every form that transformers reads. Other files stay behind."""
BUNDLED = "package:"
HOME = Path(__file__).resolve().parents[1] / "policy"
"""Where bundled models lie."""


def located_or_bundled(path: str, revision: str | None, *, group: str) -> tuple[Path, bool]:
    """The same of a path that may also be `package:NAME`, a model bundled with align."""
    if not path.startswith(BUNDLED):
        return located(path, revision, group=group)
    bundled = HOME / path.removeprefix(BUNDLED)
    names = sorted(f"{BUNDLED}{c.parent.name}" for c in HOME.glob("*/config.json"))
    if f"{BUNDLED}{bundled.name}" not in names or bundled.parent != HOME:
        raise ConfigError(f"{group}.path {path}: nothing so named is bundled; there is {names}")
    if revision is not None:
        raise ConfigError(f"{group}.revision {revision}: {path} is bundled, without revisions")
    return bundled, False


def located(path: str, revision: str | None, *, group: str) -> tuple[Path, bool]:
    """Where the files are, and whether that is the hub's cache (whose files never change).

    `group` names the settings `path` and `revision` in messages. Pickles are not downloaded.
    """
    local = Path(path).expanduser()
    if not local.is_dir():
        return _download(path, revision, group), True
    if revision is not None:
        raise ConfigError(
            f"{group}.revision {revision}: {path} is a folder, which has no revisions"
        )
    return local, False


def _download(path: str, revision: str | None, group: str) -> Path:
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise ConfigError(f"{group}.path {path}: there is no such folder")
    try:
        wanted = [*SMALL_FILES, INDEX, "*.safetensors"]
        return Path(snapshot_download(path, revision=revision, allow_patterns=wanted))
    except LocalEntryNotFoundError as error:
        raise ConfigError(
            f"{group}.path {path}: there is no such folder, and the hub cannot be reached (no "
            "network, or HF_HUB_OFFLINE is set) nor is the model in its cache; download it first"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"{group}.path {path}: there is no such folder, and the hub says: {first}"
        ) from error
