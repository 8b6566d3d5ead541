"""A command line handed to `hydra.main`, once every job that it describes has been checked."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from align_cli.config.compose import Job, freeze, jobs, search_folders, vocabulary
from align_cli.config.folders import conf_dir
from align_cli.config.refusal import explained
from align_cli.config.words import Words, checked_all, read_words

OURS = {
    "hydra.output_subdir": "null",
    "hydra.run.dir": ".",
    "hydra.job.chdir": "false",
    "hydra.sweep.dir": "${outputs}/.multirun",
    "hydra.sweep.subdir": ".",
    "hydra/job_logging": "none",
    "hydra/hydra_logging": "none",
}
"""The run folder is ours alone: Hydra makes no folder, no log file and no copy of the config."""


@dataclass(frozen=True)
class Failure:
    """A job that ended in an error."""

    job: Job
    error: Exception


def launch(
    words: Sequence[str],
    task: Callable[[Job], None],
    *,
    config_name: str = "config",
    rehearse: Callable[[Sequence[Job]], None] = lambda found: None,
    told: Callable[[Failure], None] = lambda failure: None,
) -> list[Failure]:
    """Check every job, then hand the words to `hydra.main`; returns the jobs that failed.

    `rehearse` may refuse what only a loaded component can refuse, before the first job starts. A
    single run raises its error; in a multirun the other jobs go on, and `told` hears of each
    failure as it happens.
    """
    read = read_words(words)
    found = jobs(words, config_name)
    if read.only_shows:
        # Hydra prints its pages through `logging`, which would report a reader that stops early.
        logging.raiseExceptions = False
    else:
        rehearse(found)
    shown = list(sys.argv)
    failures: list[Failure] = []

    def job(cfg: DictConfig) -> None:
        sys.argv = shown
        context = HydraConfig.get()
        number = 0 if OmegaConf.is_missing(context.job, "num") else int(context.job.num)
        try:
            config = freeze(cfg, context.runtime.choices, lexicon, folders)
            task(replace(found[number], config=config))
        except Exception as error:
            failures.append(Failure(found[number], error))
            if len(found) > 1:
                told(failures[-1])
            # Hydra prints what a job raises; only a launcher in another process needs to see it.
            if not _in_this_process(context):
                raise

    folders = search_folders(read, ())
    lexicon = vocabulary(read.config_name or config_name, folders)
    overrides = checked_all(read.overrides, lexicon)
    with _command_line(_argv(read, overrides)), explained(lexicon):
        main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)
        main(job)()
    if failures and len(found) == 1:
        raise failures[0].error
    return failures


def _in_this_process(context: HydraConf) -> bool:
    return context.mode != RunMode.MULTIRUN or "BasicLauncher" in str(context.launcher)


def _argv(read: Words, overrides: Sequence[str]) -> list[str]:
    """The checked words with our own, except where the user gives Hydra a value."""
    mentioned = {word.lstrip("+~").split("=")[0] for word in overrides}
    if read.only_shows:
        # `--info` speaks through Hydra's log.
        mentioned |= {"hydra/job_logging", "hydra/hydra_logging"}
    ours = [f"{key}={value}" for key, value in OURS.items() if key not in mentioned]
    return replace(read, overrides=(*ours, *overrides)).as_argv()


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
