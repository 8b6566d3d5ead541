"""A run beside the protocol that its experiment is named after, for eyes and for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from align_cli.cli.output import plain, results
from align_cli.config.stated import ABSENT, Compared, Statement, compared, experiments_of

if TYPE_CHECKING:
    from align_cli.config.compose import Job


def sources_of(job: "Job", words: Sequence[str]) -> list[Compared]:
    """What the sources of the job's experiments state, beside the job."""
    from align_cli.config.compose import search_folders
    from align_cli.config.words import read_words

    folders = search_folders(read_words(words), ())
    found = [compared(name, job.config, folders) for name in experiments_of(job.words)]
    return [each for each in found if each is not None]


def warnings_of(found: Compared) -> list[str]:
    """A line for each part of the protocol that the run does without."""
    stated = {each.key: each for each in found.differences}
    return [
        f"warning: experiment={found.experiment} runs without {key}={stated_text(stated[key])} of "
        f"its source ({key}={stated[key].here}): {text}"
        for key, text in found.missing.items()
    ]


def print_compared(found: Compared) -> None:
    """Differences first, one a line; then what is kept, what is no setting, what is unknown."""
    out = results()
    out.print(f"\nexperiment={found.experiment} beside its source: {found.source}", markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("differs", "stated", "here"):
        table.add_column(name)
    for each in found.differences:
        table.add_row(plain(each.key), plain(stated_text(each)), plain(str(each.here)))
    if found.differences:
        out.print(table)
    else:
        out.print("no setting differs")
    for line in warnings_of(found):
        out.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
    kept = ", ".join(f"{each.key}={stated_text(each)}" for each in found.kept)
    lines = {
        "as stated": kept or "nothing",
        "no setting here": "; ".join(f"{key}: {text}" for key, text in found.words.items()),
        "unknown there, here": ", ".join(
            key if here == ABSENT else f"{key}={here}" for key, here in found.unknown.items()
        ),
    }
    for name, text in lines.items():
        if text:
            out.print(f"{name}: {text}", markup=False, highlight=False)


def stated_text(each: Statement) -> str:
    """The source's value, marked where it is inferred."""
    return f"{each.stated} (inferred)" if each.inferred else str(each.stated)


def compared_json(found: Compared) -> dict[str, Any]:
    """The same for `--json`."""
    return {
        "name": found.experiment,
        "source": found.source,
        "differences": [
            {"key": e.key, "stated": e.stated, "here": e.here, "inferred": e.inferred}
            for e in found.differences
        ],
        "as_stated": {e.key: e.stated for e in found.kept},
        "missing": dict(found.missing),
        "no_setting": dict(found.words),
        "unknown": {key: None if here == ABSENT else here for key, here in found.unknown.items()},
    }
