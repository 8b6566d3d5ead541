"""hydra/launcher=ray: the jobs of a multirun as Ray tasks.

Hydra's own plugin (hydra-ray-launcher 1.2.2) wants boto3 and cloudpickle below 3, for clusters that
it starts in a cloud itself; beside this project's tested versions pip does not find a set. This is
the part of it that runs jobs on a cluster which is there, with the same keys.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

NAME = "hydra_plugins.align_ray.RayLauncher"
"""Hydra takes plugins of a package of that name alone, and looks them up by it."""


@dataclass
class RaySettings:
    """Keyword arguments of ray.init and ray.remote."""

    init: dict[str, Any] = field(default_factory=dict)
    remote: dict[str, Any] = field(default_factory=dict)


@dataclass
class RayNode:
    """The node hydra.launcher."""

    _target_: str = NAME
    ray: RaySettings = field(default_factory=RaySettings)


class RayLauncher(Launcher):
    """One Ray task per job; returns when the last has ended."""

    def __init__(self, ray: DictConfig) -> None:
        self.settings = OmegaConf.to_container(ray, resolve=True)
        self.config: DictConfig | None = None
        self.context: HydraContext | None = None
        self.task: TaskFunction | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """What Hydra hands over before it launches."""
        self.config, self.context, self.task = config, hydra_context, task_function

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Hand in every job, and wait."""
        import ray

        assert self.context is not None
        assert self.config is not None
        assert isinstance(self.settings, dict)
        if not ray.is_initialized():
            ray.init(**self.settings["init"])
        options = {"max_retries": 0, **self.settings["remote"]}
        remote = ray.remote(**options)(_run)
        waiting = []
        for place, overrides in enumerate(job_overrides):
            number = initial_job_idx + place
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id, config.hydra.job.num = f"job_{number}", number
            state = Singleton.get_state()
            waiting.append(remote.remote(os.getcwd(), self.context, self.task, config, state))
        return [ray.get(each) for each in waiting]


def _run(folder: str, context: HydraContext, task: Any, config: DictConfig, state: Any) -> Any:
    """In a worker, which may be one that ran another job before."""
    os.chdir(folder)
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    return run_job(
        hydra_context=context,
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def register() -> None:
    """Make the launcher known to Hydra."""
    Plugins.instance().class_name_to_class[NAME] = RayLauncher
    ConfigStore.instance().store(group="hydra/launcher", name="ray", node=RayNode, provider="align")
