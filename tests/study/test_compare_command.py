"""`align compare` on real small runs: what it reads, writes, prints and refuses."""

import csv
import io
import json
import shutil
from html.parser import HTMLParser

import pytest
import yaml
from small_runs import run_small
from typer.testing import CliRunner

from align_cli.cli import app
from align_cli.report.ledger import ledger
from align_cli.report.result import read_result
from align_cli.study.evidence import read_run

SMALL = ("schedule.rounds=1", "task.prompts_per_round=24", "task.heldout_prompts=12")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Two losses at two seeds, and one run that was never begun in earnest."""
    folder = tmp_path_factory.mktemp("compared") / "outputs"
    for seed in (0, 1):
        for loss in ("dpo", "ipo"):
            run_small(folder, *SMALL, f"loss={loss}", f"seed={seed}", f"name={loss}-{seed}")
    return folder


def align(outputs, *words, code=0):
    done = CliRunner().invoke(app, ["compare", *map(str, words), "--outputs", str(outputs)])
    assert done.exit_code == code, done.stdout + done.stderr
    return done


def as_json(outputs, *words):
    return json.loads(align(outputs, *words, "--json").stdout)


def test_levels_are_the_runs_own_numbers_and_costs_their_ledgers(outputs):
    facts = as_json(outputs, outputs)
    assert [cell["name"] for cell in facts["cells"]] == ["loss=dpo", "loss=ipo"]
    for cell in facts["cells"]:
        for run in cell["runs"]:
            result = read_result(outputs / run["name"])
            last = cell["curve"][-1]["seeds"][str(run["seed"])]
            assert last["value"] == pytest.approx(
                result.rounds[0]["6_scores"]["eval/sampled_accuracy"]
            )
            costs = ledger(result)
            spent = {k: v for k, v in costs.items() if k not in ("6_scores", "total")}
            # The start's own stages cost next to nothing here, and are left out.
            assert last["generated_tokens"] == sum(c["generated_tokens"] for c in spent.values())
            flops = sum(c["forward_flops"] + c["backward_flops"] for c in spent.values())
            assert last["total_flops"] == pytest.approx(flops)
            assert 0 < last["seconds"] <= sum(c["wall_seconds"] for c in spent.values())


def test_stages_found_made_count_in_full(outputs):
    facts = as_json(outputs, "dpo-0", "ipo-0")
    assert facts["shared_stages"] > 0
    dpo, ipo = (cell["curve"][-1]["cost"]["generated_tokens"] for cell in facts["cells"])
    assert dpo == ipo > 0


def test_a_markdown_table_has_a_line_a_cell_and_the_claims_numbers(outputs):
    text = align(outputs, outputs, "--markdown").stdout
    rows = [[part.strip() for part in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|")]  # fmt: skip
    facts = as_json(outputs, outputs)
    assert [row[0] for row in rows[2:]] == ["dpo", "ipo"]
    assert {len(row) for row in rows if row[0] != "---"} == {11}
    for row, cell in zip(rows[2:], facts["cells"], strict=True):
        assert row[2].startswith(f"{cell['level']['mean']:.3f} [")
    (final,) = [claim for claim in facts["claims"] if claim["kind"] == "final"]
    assert rows[3][4] == "dpo"
    assert rows[3][5].startswith(f"{final['effect']:+.3f}".replace("-", "\u2212"))
    assert rows[3][8] == final["verdict"]
    assert "12 held-out prompts" in text
    assert "stdout takes one" in align(outputs, outputs, "--csv", "--markdown", code=2).stderr


def test_claims_say_what_they_rest_on(outputs):
    align(outputs, outputs, "--out", outputs.parent / "out")
    written = json.loads((outputs.parent / "out" / "claims.json").read_text())
    kinds = [claim["kind"] for claim in written["claims"]]
    assert kinds == ["final"] + ["equal_cost"] * 3 + ["cost_ratio"] * 3
    final = written["claims"][0]
    assert final["cells"] == ["loss=ipo", "loss=dpo"]
    assert (final["n_items"], final["n_seeds"], final["seeds"]) == (12, 2, [0, 1])
    assert final["interval"][0] <= final["effect"] <= final["interval"][1]
    assert final["verdict"] in ("better", "worse", "inconclusive")
    assert len(final["mcnemar"]) == 2
    assert {"p", "p_corrected", "mde", "bootstrap_interval"} <= final.keys()


def test_csv_is_one_line_a_scored_policy(outputs):
    rows = list(csv.DictReader(io.StringIO(align(outputs, outputs, "--csv").stdout)))
    assert len(rows) == 2 * 2 * 2
    assert {row["round"] for row in rows} == {"start", "0"}
    assert all(float(row["seconds"]) >= 0 for row in rows)


def test_the_terminal_has_verdict_effect_and_page(outputs):
    done = align(outputs, "dpo-0", "dpo-1", "ipo-0", "ipo-1", "--metric", "pass_at_2")
    for word in ("Is ipo better than dpo?", "pass_at_2", "interval", "MDE", "verdict", "12 held"):
        assert word in done.stdout
    assert "report.html" in done.stderr
    assert "report.html" not in done.stdout


class Tags(HTMLParser):
    """Every tag opened is closed, and nothing is fetched from elsewhere."""

    EMPTY = ("meta", "input", "br")

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not {"src", "href", "xlink:href"} & {name for name, _ in attrs}
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_holds_every_cell(outputs):
    align(outputs, outputs, "--out", outputs.parent / "page")
    text = (outputs.parent / "page" / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert {"svg", "table", "style"} <= tags.seen
    assert "script" not in tags.seen
    for word in ("http", "url(", "@import", "nan", "None", "Infinity"):
        assert word not in text
    for word in ("loss=ipo", "dpo-1", "prefers-color-scheme: dark", "@media print", "align 0"):
        assert word in text


def study(outputs, name, *, states=None, compare=None):
    folder = outputs / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    plan = {"question": "Does <IPO> learn more & faster?", "seeds": [0, 1]}
    plan |= {"compare": compare} if compare else {}
    (folder / "study.yaml").write_text(yaml.safe_dump(plan))
    lines = [
        {"name": f"{loss}-{seed}", "choices": {"loss": loss}, "seed": seed, "run": f"{loss}-{seed}",
         "state": (states or {}).get((loss, seed), "done"), "error": None, "log": None}
        for loss in ("dpo", "ipo") for seed in (0, 1)
    ]  # fmt: skip
    (folder / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_study_brings_its_question_baseline_metric_and_folder(outputs):
    spec = {"against": {"loss": "ipo"}, "metric": "eval/greedy_accuracy", "cost": "total_flops"}
    folder = study(outputs, "asked", compare=spec)
    facts = as_json(outputs, "asked")
    assert facts["question"] == "Does <IPO> learn more & faster?"
    assert facts["claims"][0]["cells"] == ["loss=dpo", "loss=ipo"]
    assert facts["metric"] == "greedy_accuracy"
    assert facts["cost_axis"] == "total_flops"
    page = (folder / "report.html").read_text()
    assert "Does &lt;IPO&gt; learn more &amp; faster?" in page
    assert (folder / "claims.json").is_file()


def test_a_study_is_compared_as_far_as_it_got_and_says_how_far(outputs):
    study(outputs, "half", states={("ipo", 0): "failed", ("dpo", 1): "running"})
    facts = as_json(outputs, "half")
    assert any("1 failed of 2 runs" in note for note in facts["notes"])
    assert any("no seed in common" in note for note in facts["notes"])
    study(outputs, "none", states={(x, s): "failed" for x in ("dpo", "ipo") for s in (0, 1)})
    assert "no run is finished" in align(outputs, "none", code=2).stderr


def test_one_cell_alone_is_described(outputs):
    facts = as_json(outputs, "dpo-0", "dpo-1")
    assert (facts["claims"], len(facts["cells"])) == ([], 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ipo1"], "did you mean 'ipo-1'"),
        (["dpo-0", "ipo-0", "--metric", "acuracy"], "sampled_accuracy"),
        (["dpo-0", "ipo-0", "--cost", "second"], "did you mean 'seconds'"),
        (["dpo-0", "ipo-0", "--baseline", "loss=kto"], "loss=ipo"),
        (["dpo-0", "ipo-0", "--allow", "prompt"], "did you mean 'prompts'"),
        (["dpo-0", "ipo-0", "--alpha", "5"], "0.05"),
        (["dpo-0", "ipo-0", "--json", "--csv"], "--csv"),
    ],
    ids=str,
)
def test_bad_words_are_refused(outputs, words, said):
    assert said in align(outputs, *words, code=2).stderr


def test_another_examination_is_refused_by_name(outputs, tmp_path):
    result = run_small(tmp_path, *SMALL, "task.heldout_prompts=10", "evaluation.samples=3")
    error = align(outputs, "dpo-0", result.folder, code=2).stderr
    assert "held-out prompts: 12 and 10" in error
    assert "task.heldout_prompts: 12 and 10" in error
    error = align(outputs, "dpo-0", result.folder, "--allow", "prompts", code=2).stderr
    assert "evaluation.samples: 2 and 3" in error


def test_a_run_cut_short_is_refused(outputs, tmp_path):
    cut = tmp_path / "outputs" / "cut"
    shutil.copytree(outputs, tmp_path / "outputs", symlinks=True)
    shutil.copytree(outputs / "ipo-0", cut, symlinks=True)
    lines = (cut / "metrics.jsonl").read_text().splitlines(keepends=True)
    (cut / "metrics.jsonl").write_text("".join(x for x in lines if '"stage": "run"' not in x))
    error = align(tmp_path / "outputs", "dpo-0", "cut", code=1).stderr
    assert "cut is unfinished: 1 of 1 rounds are scored" in error
    (cut / "metrics.jsonl").write_text("".join(x for x in lines if '"round": 0' not in x))
    error = align(tmp_path / "outputs", "dpo-0", "cut", code=1).stderr
    assert "no finished evaluation" in error


def test_a_run_whose_stages_are_gone_is_said(outputs, tmp_path):
    shutil.copytree(outputs / "ipo-0", tmp_path / "moved", symlinks=True)
    assert "leads nowhere" in align(outputs, tmp_path / "moved", code=1).stderr


def test_evidence_stops_at_the_first_round_without_scores(outputs, tmp_path):
    cut = tmp_path / "outputs" / "cut"
    shutil.copytree(outputs, tmp_path / "outputs", symlinks=True)
    shutil.copytree(outputs / "ipo-0", cut, symlinks=True)
    (cut / "round_00" / "6_scores.json").unlink()
    assert [point.round for point in read_run(cut).points] == [None]
