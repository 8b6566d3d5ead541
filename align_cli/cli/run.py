"""`align run`, `eval`, `sft` and `train-rm`: words handed to Hydra, configurations to the loop."""

import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from align_cli.cli.arguments import AsJson, DryRun, RewardWords, SftWords, Words
from align_cli.cli.output import print_error, print_json, progress, results
from align_cli.errors import AlignError

if TYPE_CHECKING:
    from align_cli.config.compose import Job
    from align_cli.config.launch import Failure
    from align_cli.config.schema import RunConfig


def run(
    context: typer.Context, words: Words = None, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Run an experiment, or go on with one: align run loss=squaredpo sampler=pace seed=1."""
    given = [*(words or []), *context.args]
    if dry_run:
        _print_plans(given)
    else:
        _launch(given, lambda job: _carry_out(job, train=True, as_json=as_json), "config")


def evaluate(context: typer.Context, words: Words = None, as_json: AsJson = False) -> None:
    """Score the policy that a run would start from, and train nothing."""
    given = [*(words or []), *context.args]
    _launch(given, lambda job: _carry_out(job, train=False, as_json=as_json), "config")


def sft(context: typer.Context, words: SftWords = None) -> None:
    """Warm a policy up on demonstrations: align sft recipe=tiny train.steps=3000."""

    def task(job: "Job") -> None:
        from align_cli.config.schema import SftConfig
        from align_cli.loop.warm_start import run_sft
        from align_cli.report.progress import reporter_for

        assert isinstance(job.config, SftConfig)
        made = run_sft(job.config, reporter_for(progress()))
        results().print(str(made.policy), markup=False, soft_wrap=True)

    _launch([*(words or []), *context.args], task, "sft")


def train_rm(context: typer.Context, words: RewardWords = None, as_json: AsJson = False) -> None:
    """Train a reward model on pairs: align train-rm preference.path=outputs/NAME."""

    def task(job: "Job") -> None:
        from align_cli.config.schema import RewardConfig
        from align_cli.loop.reward_training import run_train_rm
        from align_cli.report.progress import reporter_for

        assert isinstance(job.config, RewardConfig)
        made = run_train_rm(job.config, reporter_for(progress()))
        if as_json:
            print_json({"model": str(made.model), "metrics": dict(made.metrics)})
        else:
            results().print(str(made.model), markup=False, soft_wrap=True)

    _launch([*(words or []), *context.args], task, "train_rm")


def _carry_out(job: "Job", *, train: bool, as_json: bool) -> None:
    """From here on torch is in memory."""
    from align_cli.loop import rounds
    from align_cli.report.progress import reporter_for
    from align_cli.report.tables import print_result, result_json

    work = rounds.run if train else rounds.evaluate_only
    result = work(_of_run(job), reporter_for(progress()))
    if as_json:
        # One object a line where there are several, so that a reader need not wait for the last.
        print_json(result_json(result), indent=2 if job.of == 1 else None)
    else:
        print_result(result, results())


def _of_run(job: "Job") -> "RunConfig":
    from align_cli.config.schema import RunConfig

    assert isinstance(job.config, RunConfig)
    return job.config


def _launch(words: Sequence[str], task: Callable[["Job"], None], config_name: str) -> None:
    from align_cli.config.launch import launch

    def started(job: "Job") -> None:
        from align_cli.cli.stated import sources_of, warnings_of

        if job.of > 1:
            progress().print(f"job {job.number + 1} of {job.of}: {' '.join(job.words)}")
        for line in (line for found in sources_of(job, words) for line in warnings_of(found)):
            progress().print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
        task(job)

    failures = launch(words, started, config_name=config_name, rehearse=_rehearse, told=_told)
    if failures:
        names = "; ".join(f"#{each.job.number + 1} {_words(each.job)}" for each in failures)
        progress().print(
            f"{len(failures)} of {failures[0].job.of} jobs failed: {names}",
            style="red",
            soft_wrap=True,
            markup=False,
        )
        raise typer.Exit(1)


def _rehearse(jobs: Sequence["Job"]) -> None:
    """Call schedules, samplers and losses once: some settings are refused only together."""
    from align_cli.config.rehearsal import rehearse

    if not jobs or "schedule" not in jobs[0].config.bindings:
        return
    for job in jobs:
        rehearse(job.config)
    if len(jobs) > 1:
        from align_cli.loop.probe import probe_loss
        from align_cli.loop.setup import part_of

        losses = {repr(job.config.bindings["loss"]): job.config.bindings["loss"] for job in jobs}
        for binding in losses.values():
            probe_loss(part_of(binding))


def _told(failure: "Failure") -> None:
    if not isinstance(failure.error, AlignError):
        traceback.print_exception(failure.error)
    print_error(failure.error, before=f"job {failure.job.number + 1} ({_words(failure.job)}): ")


def _words(job: "Job") -> str:
    return " ".join(word.lstrip("+") for word in job.words)


def _print_plans(words: Sequence[str]) -> None:
    from align_cli.cli.protocol import protocol_table
    from align_cli.config.compose import jobs
    from align_cli.loop.plan_view import plan_lines

    for job in jobs(words):
        results().print(protocol_table(job.config))
        for line in plan_lines(_of_run(job)):
            results().print(line, markup=False, soft_wrap=True)
