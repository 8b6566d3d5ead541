"""`align verify`: how far a verifier agrees with labels that are known."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from align_cli.cli.arguments import AsJson, Words
from align_cli.cli.output import print_json, progress, results
from align_cli.errors import AlignError, ConfigError, Unscored

if TYPE_CHECKING:
    from align_cli.agreement.known_answers import Fields, Known
    from align_cli.agreement.tally import Tally
    from align_cli.config.build import Binding
    from align_cli.config.schema import RunConfig
    from align_cli.rows import Label

SHOWN = 10
"""Disagreements on the screen; --json and --out hold all."""
OURS = ("verifier", "plugins", "device")

File = Annotated[
    str, typer.Argument(metavar="FILE", help="A .jsonl, .json, .csv or .parquet file.")
]


@dataclass(frozen=True)
class Report:
    """What the command found."""

    file: str
    binding: "Binding"
    fields: "Fields"
    known: "Sequence[Known]"
    labels: "Sequence[Label]"
    tally: "Tally"
    seconds: float


def verify(
    context: typer.Context,
    file: File,
    words: Words = None,
    question: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Field of the question; dots lead inside.")
    ] = None,
    gold: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Field of the reference answer.")
    ] = None,
    gold_after: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The gold is what follows the last TEXT in its field."),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Field of an answer; repeat it for several a row."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Field that says if it is right; one per --answer."),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="SHARE", help="Exit 1 where agreement is below."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every judgement, as JSON lines."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge answers whose labels are known: align verify FILE verifier=math_strict.

    Fields that are not named are looked for: question, prompt; gold, ground_truth; an answer
    (completion, solution, ...) beside its label (is_correct, right, ...), or objects holding both.
    """
    from align_cli.agreement.judging import judge_all
    from align_cli.agreement.known_answers import read_known
    from align_cli.agreement.tally import tally
    from align_cli.report.progress import reporter_for

    config = _composed([*(words or []), *context.args])
    binding = config.bindings["verifier"]
    fields, known = read_known(
        file, question=question, gold=gold, gold_after=gold_after, answers=answer or [],
        labels=label or [],
    )  # fmt: skip
    part = _Unit(binding, config.device)
    labels, seconds = judge_all(part, known, reporter_for(progress()))
    report = Report(file, binding, fields, known, labels, tally(known, labels), seconds)
    if out is not None:
        _write(out, report)
    if as_json:
        print_json(as_dict(report))
    else:
        _print(report, out)
    _judge_the_judge(report, least)


class _Unit:
    """A loaded verifier with what it judges, as the loop's parts have it."""

    def __init__(self, binding: "Binding", device: str) -> None:
        if "outcome" in binding.needs:
            raise ConfigError(
                f"verify: verifier={binding.choice} judges answers by what a run draws beside "
                "them, and a file holds none of that; choose a verifier of the answers alone"
            )
        self.call, self.unit, self.target = binding.load(), binding.unit, binding.target
        # No round has gone before: a judge that changes with them is as in the first.
        self.offered: dict[str, Any] = {"say": progress().print, "earlier": ()}
        if "rubric" in binding.needs:
            from align_cli.rows import Rubric

            first = str(binding.loop_settings["rubric"])
            self.offered["rubric"] = Rubric(version=1, text=first)
        if "device" in binding.needs:
            from align_cli.loop.setup import choose_device  # torch, which other judges do without

            self.offered["device"] = choose_device(device)

    def __call__(self, **offer: Any) -> Any:
        return self.call(**offer, **self.offered)


def _composed(words: Sequence[str]) -> "RunConfig":
    """The run that these words describe, of which the verifier is wanted."""
    from align_cli.config.compose import compose

    for word in words:
        key = word.partition("=")[0].partition(".")[0]
        if not word.startswith("--config-dir") and key not in OURS:
            raise ConfigError(
                f"verify: {word!r} is no word of a verifier; wanted verifier=CHOICE, "
                "verifier.SETTING=VALUE, plugins=[PACKAGE], device=DEVICE or --config-dir=FOLDER"
            )
    # Nobody examines a policy here, so a judge of siblings is welcome.
    return compose([*words, "evaluation.verifier=exact"])


def _judge_the_judge(report: Report, least: float | None) -> None:
    """A verifier that a run would stop for, or that agrees too little, is a failure."""
    silent, allowed = report.tally.unscored, float(report.binding.loop_settings["max_unscored"])
    if sum(silent.values()) > allowed * report.tally.answers:
        reasons = ", ".join(f"{reason} {count}" for reason, count in silent.items())
        raise Unscored(
            f"{sum(silent.values())} of {report.tally.answers} answers went unjudged ({reasons}); "
            f"verifier.max_unscored allows {allowed:.1%}, so a run would stop"
        )
    agreement = report.tally.agreement
    if least is not None and (agreement is None or agreement < least):
        raise AlignError(f"agreement is {_percent(agreement)}, --least wants {_percent(least)}")


def as_dict(report: Report) -> dict[str, Any]:
    """The whole report for programs."""
    table, binding = report.tally, report.binding
    return {
        "file": report.file,
        "verifier": {"choice": binding.choice, "target": binding.target, **binding.settings},
        "fields": {"question": report.fields.question, "gold": report.fields.gold,
                   "answers": [list(each) for each in report.fields.answers]},
        "answers": table.answers,
        "confusion": table.confusion,
        "agreement": table.agreement,
        "false_positive_rate": table.false_positive_rate,
        "false_negative_rate": table.false_negative_rate,
        "pairs": table.ranked,
        "pair_accuracy": table.pair_accuracy,
        "unscored": table.unscored,
        "seconds": report.seconds,
        "answers_per_minute": 60 * table.answers / report.seconds,
        "disagreements": [_line(one, label) for one, label in table.disagreements],
    }  # fmt: skip


def _line(one: "Known", label: "Label") -> dict[str, Any]:
    return {
        "place": one.place, "known": one.right, "right": label.right, "score": label.score,
        "verdict": label.verdict, "answer": label.answer, "gold": one.prompt.gold,
        "detail": label.detail, "text": one.completion.text,
    }  # fmt: skip


def _write(out: Path, report: Report) -> None:
    pairs = zip(report.known, report.labels, strict=True)
    lines = [json.dumps(_line(*pair), ensure_ascii=False) for pair in pairs]
    try:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise AlignError(f"--out {out} cannot be written: {error}") from error


def _print(report: Report, out: Path | None) -> None:
    console, table, fields = results(), report.tally, report.fields
    questions = len({one.prompt.id for one in report.known})
    settings = ", ".join(f"{k}={v}" for k, v in report.binding.settings.items())
    first, *others = fields.answers
    answers = f"{first[0]} ({first[1]})" + (f" and {len(others)} more" if others else "")
    for line in (
        f"{report.file}: {questions:,} questions, {table.answers:,} answers",
        f"fields    question {fields.question}; gold {fields.gold}; answers {answers}",
        f"verifier  {report.binding.choice} ({settings})",
    ):
        console.print(line, markup=False, soft_wrap=True)
    console.print(_confusion(table))
    for line in _findings(report):
        console.print(line, markup=False, soft_wrap=True)
    if table.disagreements:
        console.print(_disagreements(report, out))


def _confusion(table: "Tally") -> Table:
    said = [name for name in ("right", "wrong", "graded") if any(
        name in counts for counts in table.confusion.values())]  # fmt: skip
    shown = Table(box=None, padding=(0, 3, 0, 0))
    shown.add_column("known to be")
    for name in said:
        shown.add_column(f"said {name}" if name != "graded" else name, justify="right")
    for reason in table.unscored:
        shown.add_column(f"unscored: {reason}", justify="right")
    for known, counts in table.confusion.items():
        if counts:
            cells = [f"{counts.get(name, 0):,}" for name in (*said, *table.unscored)]
            shown.add_row(known, *cells)
    return shown


def _findings(report: Report) -> list[str]:
    table = report.tally
    lines = []
    if table.agreement is not None:
        lines.append(
            f"agreement {_percent(table.agreement)} of the judged; false positives "
            f"{_percent(table.false_positive_rate)} of the wrong, false negatives "
            f"{_percent(table.false_negative_rate)} of the right"
        )
    if table.pair_accuracy is not None:
        counts = ", ".join(f"{count:,} {order}" for order, count in table.ranked.items())
        lines.append(f"right above wrong sibling: {_percent(table.pair_accuracy)} ({counts})")
    rate = 60 * table.answers / report.seconds
    lines.append(f"{rate:,.0f} answers a minute ({report.seconds:.1f} s, start included)")
    return lines


def _disagreements(report: Report, out: Path | None) -> Table:
    found = report.tally.disagreements
    rest = f"; the first {SHOWN}, all in {out or '--json and --out FILE'}"
    title = f"{len(found):,} disagreements{rest if len(found) > SHOWN else ''}"
    shown = Table(box=None, padding=(0, 3, 0, 0), title_justify="left", title=title)
    for name in ("where", "known", "said", "gold", "answer read", "text ends with"):
        shown.add_column(name, overflow="fold")
    for one, label in found[:SHOWN]:
        shown.add_row(
            Text(one.place), "right" if one.right else "wrong", "right" if label.right else "wrong",
            Text(str(one.prompt.gold)[-40:]), Text(str(label.answer)),
            Text(" ".join(one.completion.text.split())[-60:]),
        )  # fmt: skip
    return shown


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
