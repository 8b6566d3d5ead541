"""Hydra's and OmegaConf's errors in our words: where, what was got, what was meant."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import yaml  # type: ignore[import-untyped]
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException, ValidationError

from align_cli.config.nearest import listed, meant
from align_cli.config.words import Vocabulary
from align_cli.errors import ConfigError


@contextmanager
def explained(vocabulary: Vocabulary | None) -> Iterator[None]:
    """Turn what Hydra raises inside into a `ConfigError` that never advises `+`."""
    try:
        yield
    except MissingConfigException as error:
        raise ConfigError(_missing(error, vocabulary)) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_cause(error, vocabulary)) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"a yaml that cannot be read: {' '.join(str(error).split())}") from None


def _missing(error: MissingConfigException, vocabulary: Vocabulary | None) -> str:
    first = str(error).splitlines()[0]
    file = error.missing_cfg_file or ""
    group, _, choice = str(file).partition("/")
    choices = vocabulary.choices.get(group) if vocabulary else None
    if choices is None:
        return first
    return f"{first} ({group}={choice}){meant(choice, choices)}; choices: {listed(choices)}"


def _cause(error: Exception, vocabulary: Vocabulary | None) -> str:
    """The innermost OmegaConf error says which key; Hydra's wrapper says in which file."""
    inner: BaseException = error
    while isinstance(inner.__cause__ or inner.__context__, OmegaConfBaseException):
        inner = inner.__cause__ or inner.__context__  # type: ignore[assignment]
        if getattr(inner, "full_key", None):
            break
    where = re.match(r"In '([^']+)'", str(error))
    place = f"conf/{where[1]}.yaml: " if where else ""
    text = str(inner).splitlines()[0]
    if isinstance(inner, OmegaConfBaseException) and inner.full_key:
        key = str(inner.full_key)
        if isinstance(inner, ValidationError):
            return f"{place}{key}: {text}"
        return f"{place}{key}: no such key{_near(key, vocabulary)} ({text})"
    if found := re.search(r"Could not override '([^']+)'", str(error)):
        return f"{place}{found[1]}: no such key or group{_near(found[1], vocabulary)}"
    if found := re.search(r"Key '([^']+)' not in '(Run|Sft)Root'", str(error)):
        return f"{place}{found[1]}: no such key{_near(found[1], vocabulary)}"
    lines = [line for line in str(error).splitlines() if "append" not in line and "+" not in line]
    return " ".join(lines) or type(error).__name__


def _near(key: str, vocabulary: Vocabulary | None) -> str:
    return meant(key.split(".")[0].lstrip("/"), vocabulary.keys) if vocabulary else ""
