"""Which launcher a study's cells run under."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from align_cli.config.launchers import LOCAL, launcher_of
from align_cli.study import workers
from align_cli.study.attempt import Launcher, Target
from align_cli.study.processes import Processes

WORKERS: Mapping[str, Callable[[Target, Mapping[str, Any], Path], Launcher]] = {
    "joblib": workers.joblib_workers,
    "submitit_local": partial(workers.submitit_workers, cluster="local"),
    "submitit_slurm": partial(workers.submitit_workers, cluster="slurm"),
    "ray": workers.ray_workers,
}


def open_launcher(words: Sequence[str], target: Target, folder: Path) -> Launcher:
    """The launcher that words like hydra/launcher=ray name; `folder` is the study's."""
    name, settings = launcher_of(words)
    return Processes(target) if name == LOCAL else WORKERS[name](target, settings, folder)


def at_once(words: Sequence[str], jobs: int | None, cells: int) -> int:
    """Cells that are handed in at the same time.

    As asked; else one on this machine, and all to a launcher that has a queue of its own.
    """
    if jobs is not None:
        return jobs
    return 1 if launcher_of(words)[0] == LOCAL else cells
