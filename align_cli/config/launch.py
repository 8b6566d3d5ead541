"""A command line handed to `hydra.main`, once every job that it describes has been checked."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from align_cli.config.compose import Job, freeze, jobs, search_folders, vocabulary
from align_cli.config.elsewhere import Notes, notes
from align_cli.config.folders import conf_dir
from align_cli.config.launchers import GROUP, LOCAL, check_installed
from align_cli.config.refusal import explained
from align_cli.config.schema import Frozen
from align_cli.config.words import Vocabulary, Words, checked_all, read_words
from align_cli.errors import AlignError

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
    failure: as it happens, or under a launcher with processes of its own when all have ended.
    """
    read = read_words(words)
    check_installed(read.overrides)
    found = jobs(words, config_name)
    if read.only_shows:
        # Hydra prints its pages through `logging`, which would report a reader that stops early.
        logging.raiseExceptions = False
    else:
        rehearse(found)
    shown = list(sys.argv)
    failures: list[Failure] = []
    here = os.getpid()

    def fail(job: Job, error: Exception) -> None:
        failures.append(Failure(job, error))
        if len(found) > 1:
            told(failures[-1])

    def carry_out(cfg: DictConfig, kept: Notes) -> None:
        sys.argv = shown
        context = HydraConfig.get()
        number = 0 if OmegaConf.is_missing(context.job, "num") else int(context.job.num)
        caught: Exception | None = None
        try:
            config = _frozen(found[number], cfg, context, lexicon, folders)
            task(replace(found[number], config=config))
        except Exception as error:  # noqa: BLE001 (the other jobs go on; each failure is told)
            caught = error
        if os.getpid() != here:
            kept.write(number, caught)
        elif caught is not None:
            fail(found[number], caught)

    folders = search_folders(read, ())
    lexicon = vocabulary(read.config_name or config_name, folders)
    overrides = checked_all(read.overrides, lexicon)
    launcher = _launcher(overrides)
    with _command_line(_argv(read, overrides)), explained(lexicon), notes(_outputs(found)) as kept:

        def job(cfg: DictConfig) -> None:
            carry_out(cfg, kept)

        main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)
        if launcher is None:
            main(job)()
        else:
            _elsewhere(lambda: main(job)(), launcher, found, kept, fail)
    if failures and len(found) == 1:
        raise failures[0].error
    return failures


def _frozen(
    job: Job, cfg: DictConfig, context: HydraConf, lexicon: Vocabulary, folders: Sequence[Path]
) -> Frozen:
    """A job's config, as checked, from what Hydra composed for it."""
    if job.config.branch is not None:
        # What a branch takes from another run is no word that Hydra knows.
        return job.config
    return freeze(cfg, context.runtime.choices, lexicon, folders)


def _launcher(overrides: Sequence[str]) -> str | None:
    """The launcher that runs jobs in processes of its own, if one is asked for."""
    for word in overrides:
        if word.startswith(f"{GROUP}=") and word != f"{GROUP}={LOCAL}":
            return word.split("=", 1)[1]
    return None


def _outputs(found: Sequence[Job]) -> str:
    return found[0].config.outputs if found else "outputs"


def _elsewhere(
    start: Callable[[], None],
    launcher: str,
    found: Sequence[Job],
    kept: Notes,
    fail: Callable[[Job, Exception], None],
) -> None:
    """Start, and tell of every job that failed once the launcher has returned."""
    otherwise = f"{launcher} said nothing either"
    try:
        start()
    except Exception as error:
        # Whatever a launcher's library raises: a queue that is not there, a worker that was killed.
        if not kept.any:
            raise AlignError(f"{GROUP}={launcher}: {type(error).__name__}: {error}") from error
        otherwise = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
    for job in found:
        if (failure := kept.failure(job.number, otherwise)) is not None:
            fail(job, failure)


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
