"""The only file that composes with Hydra: words in, checked configurations out."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from align_cli.config.folders import choice_files, conf_dir, group_names
from align_cli.config.refusal import explained
from align_cli.config.roots import SCALARS, RunRoot, SftRoot, groups_of
from align_cli.config.schema import Frozen, RunConfig, SftConfig
from align_cli.config.words import Vocabulary, Words, check_choice, checked, read_words
from align_cli.errors import ConfigError

OURS = {
    "hydra.output_subdir": "null",
    "hydra.run.dir": ".",
    "hydra.job.chdir": "false",
    "hydra.sweep.dir": "${outputs}/.multirun",
    "hydra.sweep.subdir": ".",
    "hydra/job_logging": "disabled",
    "hydra/hydra_logging": "disabled",
}
"""The run folder is ours alone: Hydra makes no folder, no log file and no copy of the config."""

store = ConfigStore.instance()
store.store(name=RunConfig.schema_name, node=RunRoot)
store.store(name=SftConfig.schema_name, node=SftRoot)


@dataclass(frozen=True)
class Job:
    """One configuration of a command line."""

    words: tuple[str, ...]
    config: Frozen


@contextmanager
def _hydra(folders: Sequence[Path]) -> Iterator[Callable[[str, Sequence[str]], DictConfig]]:
    """Hydra at rest on these folders; yields (config name, overrides) -> composed config."""
    quoted = ",".join("'file://" + str(each).replace("'", "\\'") + "'" for each in folders[1:])
    search = [f"hydra.searchpath=[{quoted}]"] if quoted else []
    with hydra.initialize_config_dir(str(folders[0]), version_base="1.3", job_name="align"):
        yield lambda name, overrides: hydra.compose(
            name, [*search, *overrides], return_hydra_config=True
        )


def vocabulary(config_name: str, folders: Sequence[Path]) -> Vocabulary:
    """What may be overridden under a primary config."""
    root = SftRoot if config_name == "sft" else RunRoot
    nodes = groups_of(root)
    extra = "recipe" if root is SftRoot else "experiment"
    present = [g for g in group_names(folders) if g in nodes or g == extra]
    return Vocabulary(SCALARS, nodes, {g: list(choice_files(g, folders)) for g in present})


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
    folders = _folders(read, config_dirs)
    name = read.config_name or config_name
    lexicon = vocabulary(name, folders)
    overrides = [checked(word, lexicon) for word in read.overrides]
    with _hydra(folders) as composed:
        found = []
        for each in _expanded(name, overrides, read.multirun, composed, lexicon):
            for word in each:
                check_choice(word, lexicon)
            found.append(Job(tuple(each), _frozen(composed, name, each, lexicon)))
    _refuse_shared_folders(found)
    return found


def _folders(words: Words, config_dirs: Sequence[Path]) -> list[Path]:
    given = [*words.config_dirs, *(Path(each).absolute() for each in config_dirs)]
    return list(dict.fromkeys([conf_dir(), *given]))


def _expanded(
    name: str,
    overrides: Sequence[str],
    multirun: bool,
    composed: Callable[[str, Sequence[str]], DictConfig],
    lexicon: Vocabulary,
) -> list[list[str]]:
    """A sweep's combinations, by Hydra's own sweeper."""
    swept: list[str] = []
    if not multirun and name not in ("config", "sft"):
        # A primary config of the user's may be a sweep: `hydra.mode: MULTIRUN` and its axes.
        with explained(overrides, lexicon):
            mode = composed(name, overrides).hydra
        multirun = str(mode.mode).endswith("MULTIRUN")
        axes = mode.sweeper.get("params") or {}
        swept = [checked(f"{key}={value}", lexicon) for key, value in axes.items()]
    with explained(overrides, lexicon):
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
    composed: Callable[[str, Sequence[str]], DictConfig],
    name: str,
    overrides: Sequence[str],
    lexicon: Vocabulary,
) -> Frozen:
    with explained(overrides, lexicon):
        cfg = composed(name, overrides)
        choices = dict(cfg.hydra.runtime.choices)
        with open_dict(cfg):
            del cfg["hydra"]
        return freeze(cfg, choices, lexicon)


def freeze(
    cfg: DictConfig, choices: Mapping[str, Any], lexicon: Vocabulary | None = None
) -> Frozen:
    """Resolve a composed config (without its `hydra` node) once, and check all of it."""
    kind = SftConfig if "demonstration" in cfg else RunConfig
    with explained((), lexicon):
        if missing := sorted(OmegaConf.missing_keys(cfg)):
            raise ConfigError(
                f"{', '.join(missing)}: no value is given; wanted {missing[0]}=VALUE"
            )
        values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    plain = {str(key): value for key, value in values.items()}
    chosen = {str(k): str(v) for k, v in choices.items() if k in plain and v is not None}
    return kind.from_values(plain, chosen)


def reopen(file: Path) -> Frozen:
    """The configuration that a run folder keeps, without looking at conf/."""
    lines = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(lines, dict)
    choices: dict[str, Any] = {}
    for entry in lines.pop("defaults", []):
        choices.update(entry if isinstance(entry, dict) else {})
    kind = SftConfig if "demonstration" in lines else RunConfig
    return kind.from_values({str(key): value for key, value in lines.items()}, choices)


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


@dataclass(frozen=True)
class Failure:
    """A job that ended in an error."""

    number: int
    words: tuple[str, ...]
    error: Exception


class _JobFailed(Exception):
    """Tells Hydra that a job failed, after we have reported it."""


def launch(
    words: Sequence[str],
    task: Callable[[Frozen], None],
    *,
    config_name: str = "config",
    told: Callable[[Failure], None] = lambda failure: None,
) -> list[Failure]:
    """Check every job, then hand the words to `hydra.main`; returns the jobs that failed.

    A single run raises its error; in a multirun the other jobs go on, and `told` hears of each
    failure as it happens.
    """
    read = read_words(words)
    found = jobs(words, config_name)
    lexicon = vocabulary(read.config_name or config_name, _folders(read, ()))
    failures: list[Failure] = []

    def job(cfg: DictConfig) -> None:
        context = HydraConfig.get()
        number = int(OmegaConf.select(context, "job.num", throw_on_missing=False) or 0)
        try:
            task(freeze(cfg, context.runtime.choices))
        except Exception as error:
            failures.append(Failure(number, found[number].words, error))
            if len(found) > 1:
                told(failures[-1])
            # Hydra must see that the job failed, and must not print it once more.
            raise _JobFailed from error

    overrides = [checked(word, lexicon) for word in read.overrides]
    mentioned = {word.lstrip("+~").split("=")[0] for word in overrides}
    ours = [f"{key}={value}" for key, value in OURS.items() if key not in mentioned]
    argv = Words((*ours, *overrides), read.flags, read.multirun, read.config_name,
                 read.config_dirs).as_argv()
    with _command_line(argv), explained(overrides, lexicon):
        try:
            main = hydra.main(version_base="1.3", config_path=str(conf_dir()),
                              config_name=config_name)
            main(job)()
        except _JobFailed:
            pass
    if failures and len(found) == 1:
        raise failures[0].error
    return failures


@contextmanager
def _command_line(argv: Sequence[str]) -> Iterator[None]:
    """`sys.argv` as Hydra reads it; errors come out as exceptions, not as Hydra's own print."""
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["align", *argv]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = before
        os.environ.pop("HYDRA_FULL_ERROR")
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full
