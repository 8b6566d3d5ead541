"""A pool is drawn unjudged, shared with best-of-n, and only what is chosen of it is paid for."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_runs import run_small

from align_cli.errors import AlignError
from align_cli.loop.pool_of_round import check_chosen
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Completion, Decoding, Draw, Features, Label, Message, Prompt
from align_cli.store.tables import read_rows

SMALL = (
    "schedule.rounds=1", "task.prompts_per_round=24", "task.heldout_prompts=8",
    "sampler=g_optimal", "sampler.candidates=8", "sampler.dimensions=6",
)  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("pool")
    run_small(place, "name=design", *SMALL)
    return place


def rows(folder: Path, table: str, row_type: type) -> list[Any]:
    files = sorted(folder.glob(f"*/{table}-*.parquet"))
    return [row for file in files for row in read_rows(file, row_type)]


def numbers(run: Path) -> dict[str, dict[str, float]]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {
        line["stage"]: line["metrics"]
        for line in lines
        if line["round"] == 0 and line["step"] is None
    }


def test_only_the_chosen_are_judged_and_the_rest_is_counted(outputs: Path) -> None:
    here, found = outputs / "design" / "round_00", numbers(outputs / "design")
    pool, chosen = (
        rows(here / at, "completions", Completion) for at in ("2_pool", "2_completions")
    )
    labels = rows(here / "3_labels", "labels", Label)
    assert (len(pool), len(chosen), len(labels)) == (24 * 8, 24 * 2, 24 * 2)
    in_pool = {(row.prompt_id, row.index): row for row in pool}
    assert all(in_pool[row.prompt_id, row.index] == row for row in chosen)
    drawn = found["2_completions"]
    assert drawn["sample/completions"] == 24 * 8
    assert drawn["sample/unjudged"] == 24 * 6
    assert found["3_labels"]["cost/verifier_calls"] == 24 * 2
    assert found["2_pool"]["cost/generated_tokens"] == drawn["sample/generated_tokens"] > 0
    assert drawn["cost/generated_tokens"] == 0, "choosing draws nothing"
    rank = drawn["sample/design_rank"]
    assert rank <= drawn["sample/design_max_leverage"] + 1e-9 <= rank * 1.05 + 1e-9


def test_features_are_the_policys_last_hidden_states(outputs: Path) -> None:
    here = outputs / "design" / "round_00"
    found = {
        (row.prompt_id, row.index): row.vector
        for row in rows(here / "2_features", "features", Features)
    }
    pool = rows(here / "2_pool", "completions", Completion)
    assert len(found) == len(pool)
    model = LanguageModel.load(outputs / "design" / "start" / "5_policy", device="cpu")
    asked = {
        row.id: row
        for file in (here / "1_prompts").glob("prompts-*.parquet")
        for row in read_rows(file, Prompt)
    }
    for row in pool[::37]:
        before = model.encode_prompt(asked[row.prompt_id].messages)
        ids = torch.tensor([[*before, *row.token_ids]])
        with torch.inference_mode():
            states = model.network(ids, output_hidden_states=True).hidden_states[-1][0]
        wanted = states[len(before) :].mean(0)
        mine = torch.tensor(found[row.prompt_id, row.index])
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)


def test_the_pool_is_best_of_ns_and_what_is_there_is_not_made_again(outputs: Path) -> None:
    run_small(outputs, "name=best", *SMALL[:3], "sampler=best_of_n", "sampler.n=8")
    pool = (outputs / "design" / "round_00" / "2_pool").glob("*")
    best = outputs / "best" / "round_00" / "2_completions"
    lie = {os.path.realpath(place) for place in pool if place.is_dir()}
    assert lie == {os.path.realpath(place) for place in best.glob("*") if place.is_dir()}
    run_small(outputs, "name=other", *SMALL, "loss.beta=0.2")
    shared = numbers(outputs / "other")
    places = ("2_pool", "2_features", "2_completions", "3_labels", "4_pairs")
    assert all(shared[place]["time/shared"] == 1 for place in places)


def embedded(questions: Sequence[str], answers: Sequence[str]) -> list[tuple[float, float]]:
    """A user's embedding."""
    return [(len(answer), answer.count("1")) for _, answer in zip(questions, answers, strict=True)]


def test_an_embedding_of_the_users_is_asked(tmp_path: Path) -> None:
    words = (
        "sampler.features_of=embedding", "plugins=[test_pool_of_round]",
        "sampler.embedding_target=test_pool_of_round.embedded",
    )  # fmt: skip
    run_small(tmp_path, "name=mine", *SMALL, *words)
    found = numbers(tmp_path / "mine")
    assert found["2_features"]["features/dimensions"] == 2
    assert found["2_features"]["cost/forward_flops"] == 0
    assert found["2_completions"]["sample/design_rank"] == 2


def test_only_the_pools_own_draws_can_be_asked_for_again() -> None:
    loop: Any = SimpleNamespace(parts={"sampler": SimpleNamespace(target="mine.greedy")})
    drawn = Draw(
        prompt_id="p", index=0, messages=(Message("user", "?"),), judge=False,
        decoding=Decoding(max_new_tokens=4),
    )  # fmt: skip
    check_chosen(loop, replace(drawn, judge=True), drawn)
    for draw, before in (
        (replace(drawn, judge=True), replace(drawn, judge=True)),
        (replace(drawn, judge=True, decoding=Decoding(max_new_tokens=5)), drawn),
    ):
        with pytest.raises(AlignError, match=r"mine.greedy asked for p/0 again; only a draw of"):
            check_chosen(loop, draw, before)
