"""A round of tree search with the bundled policy: what was kept, what it cost, what it trains."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_runs import run_small

from align_cli.cli.app import app

pytestmark = [pytest.mark.e2e]
WORDS = (
    "schedule.rounds=1", "task.prompts_per_round=16", "task.heldout_prompts=4", "name=run",
    "evaluation.samples=1", "sampler=tree", "sampler.n=9", "pairing=sibling_steps",
    "loss=mcts_dpo", "loss.believe=visits",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run_small(tmp_path_factory.mktemp("tree"), *WORDS).folder)


def table(folder: Path) -> list[Any]:
    return [
        row for file in sorted(folder.rglob("*.parquet")) for row in pq.read_table(file).to_pylist()
    ]


def numbers(folder: Path, stage: str) -> dict[str, float]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    [found] = [
        line["metrics"]
        for line in lines
        if (line["round"], line["stage"], line["step"]) == (0, stage, None)
    ]
    return dict(found)


def drawn(folder: Path) -> dict[tuple[str, int], Any]:
    stages = sorted((folder / "round_00" / "2_completions").iterdir())
    rows = [row for stage in stages if stage.is_dir() for row in table(stage.resolve())]
    return {(row["prompt_id"], row["index"]): row for row in rows}


def test_what_continues_keeps_ids_as_sampled_and_pays_for_the_rest(folder: Path) -> None:
    rows = drawn(folder)
    continued = [row for row in rows.values() if row["continues"] is not None]
    assert len(continued) > 16
    for row in continued:
        of, kept = rows[row["prompt_id"], row["continues"]], row["kept_tokens"]
        assert row["token_ids"][:kept] == of["token_ids"][:kept]
        assert row["logps"][:kept] == of["logps"][:kept]
        assert kept in of["step_ends"]
    found = numbers(folder, "2_completions")
    per_prompt = [sum(key[0] == prompt for key in rows) for prompt in {key[0] for key in rows}]
    assert max(per_prompt) <= 9
    assert found["sample/draws_per_prompt"] == sum(per_prompt) / 16
    new = sum(len(row["token_ids"]) - row["kept_tokens"] for row in rows.values())
    assert found["sample/generated_tokens"] == found["cost/generated_tokens"] == new
    assert found["sample/continued"] == len(continued)


def test_log_probs_of_what_continues_are_the_policy_s_own(folder: Path) -> None:
    from align_cli.model.language_model import LanguageModel
    from align_cli.model.scoring import score_tokens
    from align_cli.store.cost import Cost

    model = LanguageModel.load((folder / "start" / "5_policy").resolve(), device="cpu")
    prompts = {row["id"]: row["messages"] for row in table(folder / "round_00" / "1_prompts")}
    rows = [row for row in drawn(folder).values() if row["continues"] is not None][:12]
    from align_cli.rows import Message

    asked = [
        model.encode_prompt([Message(**turn) for turn in prompts[row["prompt_id"]]]) for row in rows
    ]
    scored = score_tokens(model, asked, [tuple(row["token_ids"]) for row in rows], Cost())
    for row, logps in zip(rows, scored, strict=True):
        assert row["logps"] == pytest.approx(list(logps), abs=1e-4)
        assert row["prompt_tokens"] == len(model.encode_prompt(
            [Message(**turn) for turn in prompts[row["prompt_id"]]]
        ))  # fmt: skip


def test_steps_of_the_bundled_world_end_with_a_semicolon(folder: Path) -> None:
    from align_cli.model.language_model import LanguageModel

    model = LanguageModel.load((folder / "start" / "5_policy").resolve(), device="cpu")
    for row in list(drawn(folder).values())[:20]:
        text = [model.decode(row["token_ids"][:end]) for end in row["step_ends"]]
        assert all(each.endswith(";") for each in text)
        assert len(text) == row["text"].count(";")


def test_step_pairs_train_with_the_suffix_loss(folder: Path) -> None:
    pairs, rows = table(folder / "round_00" / "4_pairs"), drawn(folder)
    assert len(pairs) == numbers(folder, "4_pairs")["pair/steps"] > 4
    for pair in pairs:
        steps = pair["steps"]
        chosen, rejected = (
            rows[pair["prompt_id"], pair[side]]["token_ids"][: steps[f"{side}_tokens"]]
            for side in ("chosen", "rejected")
        )
        assert chosen[: len(rejected)] != rejected[: len(chosen)]
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    steps = [line["metrics"] for line in lines if line["step"] is not None]
    assert steps[0]["train/loss"] == pytest.approx(math.log(2), rel=1e-3)
    trained = numbers(folder, "5_policy")["cost/trained_tokens"]
    kept = sum(p["steps"]["chosen_tokens"] + p["steps"]["rejected_tokens"] for p in pairs)
    assert trained >= kept
    assert any(step["train/grad_norm"] > 0 for step in steps)


def test_a_person_can_look_at_the_tree(folder: Path) -> None:
    from typer.testing import CliRunner

    pair = table(folder / "round_00" / "4_pairs")[0]
    words = ["show", str(folder), "--prompt", pair["prompt_id"]]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    assert "N 9" in shown.output or "(all answers)" in shown.output
    assert "chosen" in shown.output
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)["search"]
    everything = [told]
    for node in everything:
        everything += node["next"]
    sides = [node for node in everything if "chosen" in node["sides"]]
    assert pair["steps"]["chosen_visits"] in [node["visits"] for node in sides]
    assert any(node["step"].endswith(";") for node in everything)
