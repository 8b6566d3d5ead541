"""Arguments that several commands share."""

from typing import Annotated

import typer

from align_cli.errors import AlignError


def _complete(incomplete: str) -> list[str]:
    from align_cli.config.completion import complete

    return complete(incomplete)


def _complete_sft(incomplete: str) -> list[str]:
    from align_cli.config.completion import complete

    return complete(incomplete, "sft")


def _complete_train_rm(incomplete: str) -> list[str]:
    from align_cli.config.completion import complete

    return complete(incomplete, "train_rm")


def _complete_groups(incomplete: str) -> list[str]:
    from align_cli.config.catalogue import groups

    try:
        return [name for name in groups() if name.startswith(incomplete)]
    except AlignError:
        return []


WORDS_HELP = (
    "GROUP=CHOICE, GROUP.SETTING=VALUE or KEY=VALUE; Hydra's flags pass through "
    "(-m sweeps over a,b,c; --cfg job; --info defaults; --config-dir FOLDER)."
)
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORDS]...", help=WORDS_HELP, autocompletion=_complete),
]
SftWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORDS]...", help=WORDS_HELP, autocompletion=_complete_sft),
]
RewardWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORDS]...", help=WORDS_HELP, autocompletion=_complete_train_rm),
]
Group = Annotated[
    str | None,
    typer.Argument(metavar="[GROUP]", help="One group only.", autocompletion=_complete_groups),
]
GroupChoice = Annotated[
    str,
    typer.Argument(metavar="GROUP=CHOICE", help="For instance loss=dpo.", autocompletion=_complete),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, and which of it is done.")
]
