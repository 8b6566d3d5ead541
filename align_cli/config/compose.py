"""Words in, checked configurations out, composed by Hydra; nothing runs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra import version
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from align_cli.config.branching import grown, with_parent
from align_cli.config.fit import check_fit
from align_cli.config.folders import choice_files, conf_dir, group_names
from align_cli.config.presets import check_presets, node_of, preset
from align_cli.config.refusal import explained
from align_cli.config.roots import SCALARS, RewardRoot, Root, RunRoot, SftRoot, groups_of
from align_cli.config.schema import Frozen, RewardConfig, RunConfig, SftConfig, kind_of
from align_cli.config.words import Vocabulary, Words, check_choice, checked, checked_all, read_words
from align_cli.errors import ConfigError

Composer = Callable[[str, Sequence[str]], DictConfig]
"""(name of the primary config, overrides) -> composed config, its `hydra` node included."""

store = ConfigStore.instance()
store.store(name=RunConfig.schema_name, node=RunRoot)
store.store(name=SftConfig.schema_name, node=SftRoot)
store.store(name=RewardConfig.schema_name, node=RewardRoot)

ROOTS: dict[str, type[Root]] = {"sft": SftRoot, "train_rm": RewardRoot}
"""{primary config: its root}; every other one is a run's."""
WHOLE = {SftRoot: "recipe", RunRoot: "experiment"}
"""{root: the group whose yamls override the whole of it}"""


@dataclass(frozen=True)
class Job:
    """One configuration of a command line."""

    number: int
    """From 0, in the order in which Hydra runs them."""
    of: int
    words: tuple[str, ...]
    config: Frozen


@contextmanager
def at_rest(folders: Sequence[Path]) -> Iterator[Composer]:
    """Hydra at rest, its search path as `hydra.main --config-dir` lays it out."""
    before = GlobalHydra.instance().hydra
    search = create_config_search_path(str(folders[0]))
    for folder in folders[1:]:
        search.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    Hydra.create_main_hydra2(task_name="align", config_search_path=search)
    try:
        yield lambda name, words: hydra.compose(name, list(words), return_hydra_config=True)
    finally:
        GlobalHydra.instance().hydra = before


def vocabulary(config_name: str, folders: Sequence[Path]) -> Vocabulary:
    """What may be overridden under a primary config."""
    root = ROOTS.get(config_name, RunRoot)
    nodes = groups_of(root)
    extra = WHOLE.get(root)
    present = [g for g in group_names(folders) if g in nodes or g == extra]
    scalars = tuple("from" if key == "branch" else key for key in SCALARS)
    if root is not RunRoot:
        scalars = tuple(key for key in scalars if key != "from")
    return Vocabulary(scalars, nodes, {g: list(choice_files(g, folders)) for g in present})


def compose(
    words: Sequence[str], config_name: str = "config", config_dirs: Sequence[Path] = ()
) -> RunConfig:
    """The checked configuration of one run; every mistake is a `ConfigError`."""
    config = _only(words, config_name, config_dirs)
    assert isinstance(config, RunConfig)
    return config


def compose_sft(words: Sequence[str], config_dirs: Sequence[Path] = ()) -> SftConfig:
    """The checked configuration of one warm start."""
    config = _only(words, "sft", config_dirs)
    assert isinstance(config, SftConfig)
    return config


def compose_reward(words: Sequence[str], config_dirs: Sequence[Path] = ()) -> RewardConfig:
    """The checked configuration of one training of a reward model."""
    config = _only(words, "train_rm", config_dirs)
    assert isinstance(config, RewardConfig)
    return config


def _only(words: Sequence[str], config_name: str, config_dirs: Sequence[Path]) -> Frozen:
    found = jobs(words, config_name, config_dirs)
    if len(found) != 1:
        raise ConfigError(f"{' '.join(words)!r} describes {len(found)} runs, wanted one")
    return found[0].config


def expand(
    words: Sequence[str], config_name: str = "config", config_dirs: Sequence[Path] = ()
) -> list[list[str]]:
    """The overrides of each job that a command line describes, in Hydra's order."""
    return [list(job.words) for job in jobs(words, config_name, config_dirs)]


def jobs(
    words: Sequence[str], config_name: str = "config", config_dirs: Sequence[Path] = ()
) -> list[Job]:
    """Every job of a command line, each composed, bound and checked; nothing runs."""
    read = read_words(words)
    folders = search_folders(read, config_dirs)
    name = read.config_name or config_name
    lexicon = vocabulary(name, folders)
    overrides = checked_all(read.overrides, lexicon)
    with at_rest(folders) as composed:
        found: list[Job] = []
        combinations = _expanded(name, overrides, read.multirun, composed, lexicon)
        for word in dict.fromkeys(word for each in combinations for word in each):
            check_choice(word, lexicon)
        for each in combinations:
            branched = with_parent(each, lexicon)
            config = _frozen(composed, name, branched.words, lexicon, folders)
            config = grown(config, branched)
            check_fit(config.bindings, folders)
            found.append(Job(len(found), len(combinations), _as_typed(each), config))
    check_presets((each for job in found for each in job.config.choices.items()), folders)
    _refuse_shared_folders(found)
    return found


def _as_typed(words: Sequence[str]) -> tuple[str, ...]:
    """Hydra knows `from` by the key that it fills in."""
    return tuple(re.sub("^branch=", "from=", word) for word in words)


def composed_node(group: str, choice: str, config_dirs: Sequence[Path] = ()) -> dict[str, Any]:
    """The node of one choice as Hydra composes its yaml, nothing checked.

    The choice's file and those it is based on are read; composing a whole run to look at one of
    its nodes takes ten times as long.
    """
    with explained(None):
        node = OmegaConf.to_container(_merged(group, choice, [conf_dir(), *config_dirs]))
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def _merged(group: str, choice: str, folders: Sequence[Path]) -> DictConfig:
    file = choice_files(group, folders)[choice]
    bases = [_merged(group, base, folders) for base in preset(file).bases]
    own = OmegaConf.load(file)
    assert isinstance(own, DictConfig)
    own.pop("defaults", None)
    merged = OmegaConf.merge(*bases, own)
    assert isinstance(merged, DictConfig)
    return merged


def search_folders(words: Words, config_dirs: Sequence[Path]) -> list[Path]:
    """The shipped conf/ and every folder that the command line adds."""
    given = [*words.config_dirs, *(Path(each).absolute() for each in config_dirs)]
    return list(dict.fromkeys([conf_dir(), *given]))


def _expanded(
    name: str,
    overrides: Sequence[str],
    multirun: bool,
    composed: Composer,
    lexicon: Vocabulary,
) -> list[list[str]]:
    """A sweep's combinations, by Hydra's own sweeper."""
    swept: list[str] = []
    if not multirun and name not in ("config", *ROOTS):
        # A primary config of the user's may be a sweep: `hydra.mode: MULTIRUN` and its axes.
        with explained(lexicon):
            mode = composed(name, overrides).hydra
        multirun = str(mode.mode).endswith("MULTIRUN")
        axes = mode.sweeper.get("params") or {}
        swept = [checked(f"{key}={value}", lexicon) for key, value in axes.items()]
    with explained(lexicon):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        parsed = parser.parse_overrides([*swept, *overrides])
        sweeps = [each.input_line for each in parsed if each.is_sweep_override()]
        if sweeps and not multirun:
            raise ConfigError(
                f"{sweeps[0]!r} names several values: -m runs each; "
                "one list is key=[a,b], one text with a comma is key='\"a,b\"'"
            )
        if not multirun:
            return [list(overrides)]
        plain = [each for each in parsed if not each.is_hydra_override()]
        [batch] = BasicSweeper.split_arguments(plain, max_batch_size=None)
    return [list(each) for each in batch]


def _frozen(
    composed: Composer,
    name: str,
    overrides: Sequence[str],
    lexicon: Vocabulary,
    folders: Sequence[Path],
) -> Frozen:
    with explained(lexicon):
        cfg = composed(name, overrides)
        choices = dict(cfg.hydra.runtime.choices)
        with open_dict(cfg):
            del cfg["hydra"]
        return freeze(cfg, choices, lexicon, folders)


def freeze(
    cfg: DictConfig, choices: Mapping[str, Any], lexicon: Vocabulary, folders: Sequence[Path]
) -> Frozen:
    """Resolve a composed config (without its `hydra` node) once, and check all of it."""
    kind = kind_of(str(key) for key in cfg)
    with explained(lexicon):
        examiner = OmegaConf.select(cfg, "evaluation.verifier")
        if isinstance(examiner, str):
            # The choice's whole node, so that a run folder says who judged without conf/.
            check_choice(f"verifier={examiner}", lexicon)
            OmegaConf.update(
                cfg, "evaluation.verifier", node_of("verifier", examiner, folders), merge=False
            )
        if missing := sorted(OmegaConf.missing_keys(cfg)):
            raise ConfigError(f"{', '.join(missing)}: no value is given; wanted {missing[0]}=VALUE")
        values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    plain = {str(key): value for key, value in values.items()}
    chosen = {str(k): str(v) for k, v in choices.items() if k in plain and v is not None}
    return kind.from_values(plain, chosen)


def _refuse_shared_folders(found: Sequence[Job]) -> None:
    folders: dict[tuple[str, str], Job] = {}
    for job in found:
        place = (job.config.outputs, job.config.run_name())
        if place in folders:
            both = " and ".join(repr(" ".join(each.words)) for each in (folders[place], job))
            raise ConfigError(
                f"name: the jobs {both} would both write {place[0]}/{place[1]}; leave `name` "
                "out, or put a swept value in it: name='x-${seed}'"
            )
        folders[place] = job
