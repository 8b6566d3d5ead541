"""The commands of `align`, their order in the help, and what their errors exit with."""

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from align_cli import __version__
from align_cli.cli import catalogue, check, compare, doctor, run, show, sweep, verify
from align_cli.cli.output import print_error
from align_cli.errors import AlignError

FORWARD = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Words that Typer does not know are Hydra's."""


class Commands(TyperGroup):
    """Every command ends in 0, in 2 for a mistake of the user's, in 1 for a failure, or in 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error that a user can put right is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except AlignError as error:
            print_error(error)
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            # The reader has seen enough (`align list | head`); Python must not complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            print_error(Interrupted("the same command goes on from here"))
            raise typer.Exit(130) from None


class Interrupted(Exception):
    """Ctrl-C."""


app = typer.Typer(
    name="align",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Declarative experiments in iterative preference alignment of language models.",
    epilog="Start with: align run   (a minute on two CPU cores, nothing is downloaded)",
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"align {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None: ...


app.command("run", context_settings=FORWARD)(run.run)
app.command("sweep")(sweep.sweep)
app.command("cell", hidden=True)(sweep.cell)
app.command("check", context_settings=FORWARD)(check.check)
app.command("list")(catalogue.list_choices)
app.command("explain")(catalogue.explain)
app.command("show")(show.show)
app.command("compare")(compare.compare)
app.command("sft", context_settings=FORWARD)(run.sft)
app.command("train-rm", context_settings=FORWARD)(run.train_rm)
app.command("eval", context_settings=FORWARD)(run.evaluate)
app.command("verify", context_settings=FORWARD)(verify.verify)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """The console script."""
    # Read by torch when it is imported. Threads that spin while they wait make a run ten times
    # slower where other processes use the cores; threads that sleep cost next to nothing.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(prog_name="align")
