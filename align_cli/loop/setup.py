"""From a checked configuration to a run that is ready to go."""

import os
import platform
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers.utils import logging as transformers_logging

from align_cli import __version__
from align_cli.errors import AlignError, ConfigError
from align_cli.loop.context import Loop, Part
from align_cli.loop.probe import probe_judges, probe_loss
from align_cli.report.reporter import Reporter
from align_cli.store.journal import Journal, Mirror
from align_cli.store.run_folder import RunFolder
from align_cli.store.stage import Store
from align_cli.tracker.interface import RunFacts, Tracker, TrackerWarning

if TYPE_CHECKING:
    from align_cli.config.build import Binding
    from align_cli.config.schema import Frozen

JUDGES = ("verifier", "examiner", "filter")
"""Components that may hold a model of their own."""
ARITHMETIC = ("torch", "transformers")
RECORDED = (*ARITHMETIC, "hydra-core", "datasets", "math-verify", "wandb", "numpy", "pyarrow")


@contextmanager
def opened(config: "Frozen", reporter: Reporter, *, command: str) -> Iterator[Loop]:
    """A loop whose components are loaded and tried, with its folder locked and its tracker on.

    Everything that can be refused is refused before the folder is made. When the block ends the
    ledger is closed: what this start took, and how much of it no stage accounts for.
    """
    began = time.perf_counter()
    device = choose_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    quieten()
    parts = {group: part_of(binding) for group, binding in config.bindings.items()}
    if "verifier" in parts:
        parts["examiner"] = part_of(config.examiner())
    parts |= {name: placed(parts[name], device, reporter) for name in JUDGES if name in parts}
    if "verifier" in parts:
        parts["verifier"] = with_outcome(parts["verifier"], parts["examiner"])
    schedule = parts["schedule"]() if "schedule" in parts else None
    if "loss" in parts:
        probe_loss(parts["loss"])
    probe_judges([parts[name] for name in JUDGES if name in parts])
    path = Path(config.outputs) / config.run_name()
    facts: dict[str, Any] = {
        "config_text": config.as_yaml(),
        "identity": config.identity(),
        "environment": environment(device),
    }
    with warnings_said(reporter), RunFolder.opened(path, **facts) as folder:
        journal = Journal(path / "metrics.jsonl")
        with tracked(config, parts["tracker"], journal, folder, reporter) as tracker:
            loop = Loop(
                name=config.run_name(),
                seed=config.seed,
                parts=parts,
                schedule=schedule,
                store=Store(Path(config.outputs) / ".store"),
                folder=folder,
                journal=journal,
                tracker=tracker,
                reporter=reporter,
                device=device,
                versions={**{name: version(name) for name in ARITHMETIC}, "device": device},
            )
            loop.spent_seconds["setup"] = time.perf_counter() - began
            yield loop
            seconds = time.perf_counter() - began
            outside = seconds - sum(loop.spent_seconds.values())
            totals = {"time/run_seconds": seconds, "time/outside_stages_seconds": outside}
            totals["time/setup_seconds"] = loop.spent_seconds["setup"]
            journal.append(totals, round_number=None, stage=command)


@contextmanager
def tracked(
    config: "Frozen", part: Part, journal: Journal, folder: RunFolder, reporter: Reporter
) -> Iterator[Tracker]:
    """The tracker, told of every new line of the journal, and finished however the block ends."""
    tracker: Tracker = part(
        run=RunFacts(
            run_id=folder.run_id,
            name=config.run_name(),
            group=None,
            folder=folder.path,
            config=settings_by_group(config),
            metric_rows=len(journal),
        )
    )
    if not isinstance(tracker, Tracker):
        raise AlignError(f"tracker {part.target} returned {tracker!r}, which is no Tracker")
    journal.mirror = _mirror(tracker, journal)
    code = 1
    try:
        yield tracker
        code = 0
    finally:
        tracker.finish(code)
        if tracker.where:
            reporter.say(f"tracked: {tracker.where}")


@contextmanager
def warnings_said(reporter: Reporter) -> Iterator[None]:
    """A tracker's warning is a line of the run's own, without a place in the code."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:
        if issubclass(category, TrackerWarning):
            reporter.say(f"warning: {message}")
        else:
            before(message, category, *more, **named)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def part_of(binding: "Binding") -> Part:
    """Import a component's function; its settings were checked when it was bound."""
    return Part(
        call=binding.load(),
        target=binding.target,
        needs=frozenset(binding.needs),
        settings=binding.settings,
        loop_settings=binding.loop_settings,
        unit=binding.unit,
    )


def placed(part: Part, device: str, reporter: Reporter) -> Part:
    """A component that may ask where to compute, and say a line of its own."""
    return replace(part, call=partial(part.call, device=device, say=reporter.say))


def with_outcome(verifier: Part, examiner: Part) -> Part:
    """A verifier that asks for the outcome of answers, which is what the examiner says of them."""
    if "outcome" not in verifier.needs:
        return verifier
    call = partial(verifier.call, outcome=examiner)
    return replace(verifier, call=call, leans_on={"outcome": examiner.made_from})


def choose_device(wanted: str) -> str:
    """`auto` is the accelerator if there is one; anything else is taken at its word."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device={wanted} cannot be used here: {error}; try device=auto"
        ) from error
    return wanted


def quieten() -> None:
    """Libraries draw no bars of their own over the run's display."""
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


def environment(device: str) -> dict[str, Any]:
    """What else the numbers may depend on; recorded, not compared."""
    return {
        "align": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in RECORDED},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def settings_by_group(config: "Frozen") -> dict[str, Any]:
    """The configuration as a tracker shows it: what was chosen, and every effective setting."""
    shown: dict[str, Any] = {"seed": config.seed, "device": config.device}
    for group, binding in config.bindings.items():
        settings = {**binding.settings, **binding.loop_settings}
        shown[group] = {"choice": binding.choice, "target": binding.target, **settings}
    return shown


def _mirror(tracker: Tracker, journal: Journal) -> Mirror:
    """Trackers count steps from the run's beginning; the journal counts them within a round."""

    def tell(metrics: Mapping[str, float], round_number: int | None, step: int | None) -> None:
        if step is not None:
            step += journal.steps_before(round_number)
        tracker.metrics(metrics, round_number=round_number, step=step)

    return tell
