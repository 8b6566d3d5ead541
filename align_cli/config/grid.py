"""Many configurations at once: what several share of the composition is composed once.

A composition takes 60 ms, nearly all of it reading and merging yamls, which only group choices
decide; values are put in afterwards. So cells that choose alike are one composition and copies.
"""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from align_cli.config.branching import grown, with_parent
from align_cli.config.compose import Composer, at_rest, freeze, search_folders, vocabulary
from align_cli.config.refusal import explained
from align_cli.config.schema import RunConfig
from align_cli.config.words import (
    Vocabulary,
    check_choice,
    checked_all,
    parse_override,
    read_words,
)
from align_cli.errors import ConfigError

Composed = tuple[DictConfig, dict[str, Any]]
"""(config without its `hydra` node, choices)"""


def compose_each(
    cells: Sequence[Sequence[str]], config_dirs: Sequence[Path] = ()
) -> list[RunConfig | ConfigError]:
    """For each list of overrides its checked configuration, or why there is none.

    Equal to `compose` of each list by itself.
    """
    folders = search_folders(read_words([]), config_dirs)
    lexicon = vocabulary("config", folders)
    found: list[RunConfig | ConfigError] = []
    with at_rest(folders) as composed:
        kitchen = _Kitchen(composed, lexicon, folders)
        for words in cells:
            try:
                found.append(kitchen.config(words))
            except ConfigError as error:
                found.append(error)
    return found


def keys(config_dirs: Sequence[Path] = ()) -> Vocabulary:
    """What the words of a run may speak of."""
    return vocabulary("config", search_folders(read_words([]), config_dirs))


def key_of(word: str) -> str:
    """What an override is about: `loss.beta` of `loss.beta=0.1`."""
    return str(parse_override(word).key_or_group)


class _Kitchen:
    """Compositions of one call, by what decided them."""

    def __init__(self, composed: Composer, lexicon: Vocabulary, folders: Sequence[Path]) -> None:
        self._composed, self._lexicon, self._folders = composed, lexicon, folders
        self._by_choices: dict[tuple[str, ...], Composed] = {}
        self._by_words: dict[tuple[bool, tuple[str, ...]], Composed] = {}

    def config(self, words: Sequence[str]) -> RunConfig:
        """The checked configuration of one cell; cells that differ in the seed share the rest."""
        if any(key_of(word) == "from" for word in words):
            # Which run a branch comes from depends on the seed.
            return self._branch(words)
        rest = tuple(word for word in words if not word.startswith("seed="))
        seeds = [word for word in words if word.startswith("seed=")]
        if len(seeds) != 1:
            rest, seeds = tuple(words), []
        key = (bool(seeds), rest)
        if key not in self._by_words:
            self._by_words[key] = self._put_together(rest)
        cfg, choices = self._by_words[key]
        parsed = [self._checked(word)[1] for word in seeds]
        with explained(self._lexicon):
            ConfigLoaderImpl._apply_overrides_to_config(parsed, cfg)
        config = freeze(cfg, choices, self._lexicon, self._folders)
        assert isinstance(config, RunConfig)
        return config

    def _branch(self, words: Sequence[str]) -> RunConfig:
        checked_words = checked_all(words, self._lexicon)
        branched = with_parent(checked_words, self._lexicon)
        config = grown(self.config(branched.words), branched)
        assert isinstance(config, RunConfig)
        return config

    def _put_together(self, words: Sequence[str]) -> Composed:
        checked_all(words, self._lexicon)
        pairs = [self._checked(word) for word in words]
        choosing = tuple(word for word, each in pairs if self._chooses(each))
        with explained(self._lexicon):
            if choosing not in self._by_choices:
                self._by_choices[choosing] = _without_hydra(self._composed("config", choosing))
            cfg, choices = deepcopy(self._by_choices[choosing][0]), self._by_choices[choosing][1]
            values = [each for _, each in pairs if not self._chooses(each)]
            ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        return cfg, choices

    def _checked(self, word: str) -> tuple[str, Override]:
        """The word as Hydra gets it, and Hydra's reading of it."""
        [fit] = checked_all([word], self._lexicon)
        override = parse_override(fit)
        if override.is_sweep_override() or override.is_hydra_override():
            raise ConfigError(f"{word!r}: a cell is one run; wanted one value of a run's key")
        check_choice(fit.lstrip("+"), self._lexicon)
        return fit, override

    def _chooses(self, override: Override) -> bool:
        """Whether it decides which yamls are read."""
        return override.key_or_group in self._lexicon.choices


def _without_hydra(cfg: DictConfig) -> Composed:
    choices = dict(cfg.hydra.runtime.choices)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, choices


def read_yaml(file: Path) -> dict[str, Any]:
    """A yaml of plain values, numbers read as in every configuration (5e-7 is one)."""
    with explained(None):
        values = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: wanted KEY: VALUE lines, got {type(values).__name__}")
    return {str(key): value for key, value in values.items()}


def yaml_text(values: dict[str, Any]) -> str:
    """Plain values as a yaml that `read_yaml` reads back."""
    return str(OmegaConf.to_yaml(OmegaConf.create(values)))
