"""Starting a W&B run: in which mode, what it may collect, and what if it does not start."""

import contextlib
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from align_cli.tracker.background import Boundary
from align_cli.tracker.interface import RunFacts, TrackerWarning

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["auto", "online", "offline"]
Resolved = Literal["online", "offline", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run goes in W&B, and how long to wait for it."""

    project: str
    entity: str | None
    group: str | None
    tags: tuple[str, ...]
    start_timeout: float
    """[s]"""
    finish_timeout: float
    """[s]"""


def start(run: RunFacts, mode: Mode, place: Place) -> "Run | None":
    """A W&B run continuing this run's earlier ones; offline where online fails; None for none."""
    # The client's own error reports leave the machine in offline mode too, and delay the end of a
    # process by 20 s where the server does not answer.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    # A cell started by a process that tracks too would share that process's service, in which run
    # ids may clash and which goes when its owner goes.
    os.environ.pop("WANDB_SERVICE", None)
    wanted: Resolved = "offline"
    with (first := Boundary()):
        wanted = resolve(mode)
        return None if wanted == "disabled" else _init(run, wanted, place)
    if wanted == "online":
        warn(f"no online run ({first.failure}); recording offline instead")
        with (second := Boundary()):
            _stop_service()
            return _init(run, "offline", place)
        first = second
    warn(f"cannot start ({first.failure}); the run goes on without it")
    return None


def resolve(mode: Mode) -> Resolved:
    """Settle `auto`: WANDB_MODE or `wandb offline` decide, else whether there are credentials."""
    import wandb

    # Silent before anything else: the client greets, warns and reports through its own printer.
    settings = wandb.setup(wandb.Settings(silent=True)).settings
    asked = mode if mode != "auto" else os.environ.get("WANDB_MODE")
    wish = asked or settings.mode
    if wish == "disabled":
        return "disabled"
    if wish in ("offline", "dryrun"):
        return "offline"
    wandb.setup(wandb.Settings(mode="online"))
    with (login := Boundary()):
        if wandb.login(prompt=False, verify=False):
            return "online"
    if login.failure is not None:
        warn(f"credentials cannot be used ({login.failure}); recording offline")
    elif asked:
        warn("no credentials; recording offline. `wandb login` or WANDB_API_KEY gives them")
    return "offline"


def warn(problem: str) -> None:
    """One line, whatever the length of the client's message."""
    warnings.warn(f"W&B: {' '.join(problem.split())}", TrackerWarning, stacklevel=3)


def _init(run: RunFacts, mode: Literal["online", "offline"], place: Place) -> "Run":
    import wandb

    settings = wandb.Settings(
        mode=mode,
        root_dir=str(run.folder),
        use_dot_wandb=False,
        symlink=False,
        init_timeout=place.start_timeout,
        finish_timeout=place.finish_timeout,
        finish_timeout_raises=True,
        silent=True,
        console="off",
        # Code, git state, machine and packages are in the run folder's environment.json.
        save_code=False,
        x_disable_machine_info=True,
        x_save_requirements=False,
        # Nothing is flushed when the process is killed, so at most so many seconds are lost.
        x_transaction_log_flush_interval=1.0,
    )
    return wandb.init(
        id=run.run_id,
        name=run.name,
        config=dict(run.config),
        resume="allow",
        # Several runs in one process stay several; none becomes `wandb.run`, which other
        # libraries would log to.
        reinit="create_new",
        settings=settings,
        project=place.project,
        entity=place.entity,
        group=place.group,
        tags=place.tags,
    )


def _stop_service() -> None:
    """Free the run id, which the client's service holds on to after a start that failed."""
    import wandb

    # teardown() ends the process when the service ended badly.
    with contextlib.suppress(SystemExit):
        wandb.teardown()
