"""Launchers whose workers are another library's: joblib, submitit (this machine, Slurm), Ray.

Hydra's launchers hand in every job at once and return when the last one has ended; a study
shows failures as they happen, holds its budget between cells and starts some again. So the
settings are the launchers' (hydra.launcher), and their libraries are asked directly, a job a cell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from align_cli.study.attempt import LOST, Attempt, Log, Target
from align_cli.study.cell_process import command_of, run_command


class Handle(Protocol):
    """A piece of work that a library has taken on."""

    def ended(self) -> bool:
        """Whether it is over, well or not."""

    def exit_code(self) -> int:
        """What `run_command` returned; raises whatever ended the worker instead."""

    def cancel(self) -> None:
        """End it."""


Submit = Callable[[list[str], str], Handle]
"""(command, folder) -> the work of running the command in the folder."""


@dataclass
class Work:
    """A cell that a worker runs, or will run."""

    handle: Handle
    log: Log
    _code: int | None = None
    _lost: str = ""

    @property
    def running(self) -> bool:
        """Whether it waits or runs."""
        return self._code is None and not self.handle.ended()

    @property
    def exit_code(self) -> int:
        """Of the cell's process; LOST where the worker ended without telling."""
        if self._code is None:
            try:
                self._code = self.handle.exit_code()
            except Exception as error:  # noqa: BLE001 (each library has its own, and all mean this)
                lines = str(error).strip().splitlines()
                self._lost = f"{type(error).__name__}: {lines[-1]}" if lines else repr(error)
                self._code = LOST
        return self._code

    def cause(self) -> str:
        """Why it failed."""
        return self.log.cause(self.exit_code, self._lost)


@dataclass
class Workers:
    """A launcher made of a library's way to submit work."""

    target: Target
    submit: Submit
    closing: Callable[[], None]
    folder: str = field(default_factory=lambda: str(Path.cwd()))

    def start(self, config_file: Path, log: Log) -> Work:
        """Hand the cell in."""
        places = (str(config_file.absolute()), str(log.file.absolute()))
        return Work(self.submit(command_of(self.target, *places), self.folder), log)

    def stop(self, attempts: Sequence[Attempt]) -> None:
        """Cancel; a cell ends with its worker, half a second later."""
        for each in attempts:
            if isinstance(each, Work) and each.running:
                each.handle.cancel()

    def close(self) -> None:
        """Let the library go."""
        self.closing()


def joblib_workers(target: Target, settings: Mapping[str, Any], folder: Path) -> Workers:
    """Processes of joblib's own executor (loky), `n_jobs` of them."""
    from joblib import cpu_count
    from joblib.externals.loky import ProcessPoolExecutor

    count = int(settings["n_jobs"])
    pool = ProcessPoolExecutor(max_workers=count if count > 0 else cpu_count() + 1 + count)
    futures: list[Any] = []

    def submit(command: list[str], place: str) -> Handle:
        futures.append(pool.submit(run_command, command, place))
        return Future(futures[-1])

    @dataclass
    class Future:
        future: Any

        def ended(self) -> bool:
            return bool(self.future.done())

        def exit_code(self) -> int:
            return int(self.future.result())

        def cancel(self) -> None:
            # A call that runs cannot be cancelled; the pool ends its workers when it is closed.
            self.future.cancel()

    return Workers(
        target,
        submit,
        lambda: pool.shutdown(kill_workers=any(not each.done() for each in futures)),
    )


def submitit_workers(
    target: Target, settings: Mapping[str, Any], folder: Path, cluster: str
) -> Workers:
    """A job of submitit's per cell: on this machine (`local`) or under Slurm (`slurm`).

    Settings go where Hydra's submitit launcher puts them: what Slurm alone knows gets its name
    before it. Job scripts and the workers' own output lie in the study's folder.
    """
    import submitit
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

    first = {"max_num_timeout"} & settings.keys()
    executor = submitit.AutoExecutor(
        folder=folder / "submitit" / "%j",
        cluster=cluster,
        **{f"{cluster}_{key}": settings[key] for key in first},
    )
    common = BaseQueueConf.__dataclass_fields__.keys()
    rest = settings.keys() - first - {"submitit_folder", "_target_", "name"}
    executor.update_parameters(
        name=f"align-{folder.name}",
        **{key if key in common else f"{cluster}_{key}": settings[key] for key in rest},
    )

    @dataclass
    class Job:
        job: Any

        def ended(self) -> bool:
            return bool(self.job.done())

        def exit_code(self) -> int:
            return int(self.job.result())

        def cancel(self) -> None:
            self.job.cancel(check=False)

    return Workers(
        target,
        lambda command, place: Job(executor.submit(run_command, command, place)),
        lambda: None,
    )


def ray_workers(target: Target, settings: Mapping[str, Any], folder: Path) -> Workers:
    """A task of Ray's per cell; Ray starts as many at once as their resources allow."""
    import ray

    ours = not ray.is_initialized()
    if ours:
        ray.init(**{"log_to_driver": False, **settings["ray"]["init"]})
    options = dict(settings["ray"]["remote"])
    # The sweep itself decides on another attempt (--retries).
    remote = ray.remote(**{"max_retries": 0, **options})(run_command)

    @dataclass
    class Task:
        reference: Any

        def ended(self) -> bool:
            return bool(ray.wait([self.reference], timeout=0)[0])

        def exit_code(self) -> int:
            return int(ray.get(self.reference))

        def cancel(self) -> None:
            ray.cancel(self.reference, force=True)

    return Workers(
        target,
        lambda command, place: Task(remote.remote(command, place)),
        lambda: ray.shutdown() if ours else None,
    )
