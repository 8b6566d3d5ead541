"""`align check`: compose, bind, print the effective protocol; run nothing."""

from collections.abc import Sequence
from typing import Annotated

import typer

from align_cli.cli.arguments import AsJson, Words
from align_cli.cli.output import print_error, print_json, results
from align_cli.errors import AlignError, ConfigError

Everything = Annotated[
    bool, typer.Option("--all", help="Check every yaml in conf/experiment, under these words.")
]


def check(
    context: typer.Context,
    words: Words = None,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Check a configuration and print what it would do, without loading a model.

    Under `experiment=...` that is named after a paper it also prints where the run differs from
    what the source states.
    """
    given = [*(words or []), *context.args]
    if everything:
        _check_all(given)
    else:
        _check_one(given, as_json=as_json)


def _check_one(words: Sequence[str], *, as_json: bool) -> None:
    from align_cli.cli.protocol import as_dict, protocol_table
    from align_cli.cli.stated import compared_json, print_compared, sources_of
    from align_cli.config.compose import jobs
    from align_cli.config.rehearsal import rehearse

    found = jobs(words)
    for job in found:
        rehearse(job.config)
    beside = [sources_of(job, words) for job in found]
    if as_json:
        facts = [
            {**as_dict(job.config), "experiments": [compared_json(one) for one in each]}
            for job, each in zip(found, beside, strict=True)
        ]
        print_json(facts[0] if len(facts) == 1 else facts)
        return
    for job, each in zip(found, beside, strict=True):
        results().print(protocol_table(job.config))
        for one in each:
            print_compared(one)


def _check_all(words: Sequence[str]) -> None:
    from align_cli.config.catalogue import choices
    from align_cli.config.compose import jobs
    from align_cli.config.rehearsal import rehearse

    refused = 0
    for experiment in choices("experiment"):
        try:
            for job in jobs([*words, f"experiment={experiment.name}"]):
                rehearse(job.config)
                results().print(f"experiment={experiment.name}: {job.config.run_name()}")
        except AlignError as error:
            refused += 1
            print_error(error, before=f"experiment={experiment.name}: ")
    if refused:
        raise ConfigError(f"{refused} of conf/experiment cannot run")
