"""What a person is shown: dashes for what is unknown, sums that add up, prompts side by side."""

import io
import json

import pytest
from rich.console import Console
from small_runs import run_small

from align_cli.errors import AlignError
from align_cli.report.ledger import ledger, print_ledger, print_training
from align_cli.report.progress import Bars, reporter_for
from align_cli.report.result import read_result
from align_cli.report.show import show
from align_cli.report.tables import print_result, result_json, rows

COST = {"prompt_tokens": 1, "generated_tokens": 10, "trained_tokens": 0, "scored_tokens": 0,
        "forward_flops": 2e12, "backward_flops": 0.0, "wall_seconds": 1.5, "cpu_seconds": 1.0,
        "peak_bytes": 2**20, "verifier_calls": 0}  # fmt: skip


def line(number, stage, step=None, **metrics):
    costs = {f"cost/{name}": value for name, value in COST.items()}
    told = {**costs, "time/seconds": 2.0, "time/shared": 0.0} if step is None else {}
    told |= {name.replace("__", "/"): value for name, value in metrics.items()}
    return json.dumps({"round": number, "stage": stage, "step": step, "metrics": told}) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        line(None, "6_scores", eval__sampled_accuracy=0.5)
        + line(0, "2_completions", sample__draws_per_prompt=2.25, sample__generated_tokens=1234.0)
        + line(0, "4_pairs", **{"pair__count": 7, "pair__none/all_right": 3, "gate/passed": 2})
        + line(0, "5_policy", step=0, train__loss=0.69)
        + line(0, "5_policy", after__chosen_logratio_nats=-0.25)
        + line(0, "6_scores", eval__sampled_accuracy=0.75)[:-30]
    )
    return tmp_path


def shown(printer, *things, width=80):
    console = Console(file=io.StringIO(), width=width)
    printer(*things, console)
    return console.file.getvalue()


def test_what_is_unknown_is_a_dash_and_a_torn_line_is_not_there(folder):
    start, first = rows(read_result(folder))
    assert (start["sampled"], start["greedy"], start["pairs"]) == ("0.500", "-", "-")
    assert (first["draws"], first["tokens"], first["sampled"]) == ("2.250", "1,234", "-")


def test_the_table_fits_a_narrow_terminal_and_says_why_prompts_gave_none(folder):
    text = shown(print_result, read_result(folder))
    assert "all_right 3" in text
    assert "corrections at the gate: passed 2" in text
    assert "…" not in text


def test_the_ledger_adds_up(folder):
    sums = ledger(read_result(folder))
    assert list(sums) == ["2_completions", "4_pairs", "5_policy", "6_scores", "total"]
    assert sums["total"]["generated_tokens"] == 40
    assert sums["total"]["seconds_here"] == 8.0
    assert sums["total"]["peak_bytes"] == 2**20
    assert "8.00" in shown(print_ledger, read_result(folder))


def test_displacement_is_shown_by_round(folder):
    assert "-0.250" in shown(print_training, read_result(folder))


def test_json_holds_everything(folder):
    facts = result_json(read_result(folder))
    assert facts["complete"] is False
    assert facts["rounds"][0]["5_policy"]["after/chosen_logratio_nats"] == -0.25
    json.dumps(facts, allow_nan=False)


def test_a_folder_that_is_no_run_is_said(tmp_path):
    with pytest.raises(AlignError, match=r"metrics\.jsonl"):
        read_result(tmp_path)


def test_progress_is_lines_in_a_pipe_and_bars_on_a_terminal():
    pipe = Console(file=io.StringIO(), width=80)
    reporter = reporter_for(pipe)
    reporter.begin("round 0 generate", total=8, unit="completions")
    reporter.advance(8, 100)
    reporter.end("a [note] in brackets")
    text = pipe.file.getvalue()
    assert "round 0 generate: 8 completions" in text
    assert "tokens/s - a [note] in brackets" in text
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    bars = reporter_for(terminal)
    assert isinstance(bars, Bars)
    bars.begin("round 0 train", total=4, unit="steps")
    bars.advance(4)
    bars.end("")
    assert "round 0 train: 4 steps" in terminal.file.getvalue()


def test_one_prompt_side_by_side(tmp_path):
    result = run_small(tmp_path, "sampler=pace", "schedule.rounds=1")
    found = next((result.folder / "round_00" / "4_pairs").glob("*.parquet"))
    from align_cli.store.tables import read_rows
    from align_cli.training_rows import Pair

    corrected = next(pair for pair in read_rows(found, Pair) if pair.kind == "corrected")
    console = Console(file=io.StringIO(), width=120)
    words = {"prompt": corrected.prompt_id[:9], "round_number": 0, "console": console}
    show(result.folder, **words, as_json=False)
    text = console.file.getvalue()
    assert f"corrects {corrected.rejected}" in text
    assert "chosen" in text
    assert "rejected" in text
    assert "arithmetic:train:" in text
    console.file.truncate(0)
    with pytest.raises(AlignError, match="begin with"):
        show(result.folder, prompt="zzz", round_number=0, console=console, as_json=False)
