"""`align compare`: cells of a study or of any runs, with statistics, and a page to show around."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from align_cli.cli.arguments import AsJson
from align_cli.cli.output import print_json, progress, results
from align_cli.cli.show import complete_run
from align_cli.errors import ConfigError

if TYPE_CHECKING:
    from align_cli.study.comparison import Comparison, Wanted

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="STUDY|RUN...",
        help="A study's folder or name; or runs, which are grouped into cells that differ in the "
        "seed alone; or a folder of runs.",
        autocompletion=complete_run,
    ),
]
MetricName = Annotated[
    str | None,
    typer.Option("--metric", help="greedy_accuracy, sampled_accuracy, pass_at_K, maj_at_K, or one "
                 "of these by stratum: 'sampled_accuracy/3 steps'."),
]  # fmt: skip
CostAxis = Annotated[
    str | None,
    typer.Option("--cost", help="generated_tokens, total_flops or seconds."),
]
Baseline = Annotated[
    str | None,
    typer.Option(metavar="CELL", help="What the others are held against; default: the study's, or "
                 "the cell of the first run."),
]  # fmt: skip
Allow = Annotated[
    list[str] | None,
    typer.Option(help="Compare although these differ: prompts, gold, evaluation, verifier, code; "
                 "or although a run is unfinished."),
]  # fmt: skip
Target = Annotated[
    float | None,
    typer.Option(help="Accuracy at which costs are compared; default: the highest that both "
                 "cells reach, seed by seed."),
]  # fmt: skip
Alpha = Annotated[
    float, typer.Option(help="Chance of any false finding among the comparisons of one kind.")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where report.html, claims.json and curves.csv go; "
                 "default: the study's folder, or outputs/compare-DIGEST."),
]  # fmt: skip


def compare(
    names: Names,
    metric: MetricName = None,
    cost: CostAxis = None,
    baseline: Baseline = None,
    target: Target = None,
    alpha: Alpha = 0.05,
    allow: Allow = None,
    out: Out = None,
    outputs: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("outputs"),
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The curves as CSV on stdout.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="The cells as a Markdown table on stdout.")
    ] = False,
) -> None:
    """Compare runs: which is better, by how much, how sure, and at what cost."""
    forms = {"--json": as_json, "--csv": as_csv, "--markdown": as_markdown}
    asked = [form for form, wanted in forms.items() if wanted]
    if len(asked) > 1:
        raise ConfigError(f"compare: {' and '.join(asked)} are {len(asked)}; stdout takes one")
    if not 0 < alpha < 1:
        raise ConfigError(f"--alpha: got {alpha}, wanted a share between 0 and 1, 0.05 as a rule")
    from dataclasses import replace

    from align_cli.study.alike import check_allowed
    from align_cli.study.comparison import compare as answer
    from align_cli.study.gather import gather
    from align_cli.study.verdict import Rule

    check_allowed(allow or ())
    wanted = gather(names, outputs, baseline=baseline)
    wanted = replace(
        wanted,
        metric=metric or wanted.metric,
        axis=cost or wanted.axis,
        rule=Rule(alpha=alpha),
        target=target,
        allowed=tuple(allow or ()),
    )
    found = answer(wanted)
    where = out or wanted.folder or outputs / f"compare-{_digest(wanted)}"
    _show(found, asked[0] if asked else None)
    _write(found, where)


def _show(found: "Comparison", form: str | None) -> None:
    import sys

    from align_cli.study import document
    from align_cli.study.markdown import as_markdown
    from align_cli.study.terminal import print_comparison

    if form == "--json":
        print_json(document.whole_document(found))
    elif form == "--csv":
        sys.stdout.write(document.as_csv(found))
    elif form == "--markdown":
        sys.stdout.write(as_markdown(found))
    else:
        print_comparison(found, results())


def _write(found: "Comparison", folder: Path) -> None:
    from align_cli.study.written import write

    for file in write(found, folder):
        progress().print(f"wrote {file}", markup=False, soft_wrap=True)


def _digest(wanted: "Wanted") -> str:
    """The same runs give the same folder."""
    import hashlib

    names = sorted(run.name for cell in wanted.cells for run in cell.runs)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:6]
