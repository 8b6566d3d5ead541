"""Answers made to stop at their steps, and the progress that scores are made of, in a small run."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from judged_rows import asked, judged
from sampler_settings import settings_of
from small_runs import run_small

from align_cli.errors import AlignError
from align_cli.rows import Completion
from align_cli.sampler.forced_stop import forced_stop
from align_cli.verifier.progress import progress

WORDS = (
    "schedule.rounds=1", "task.prompts_per_round=20", "task.heldout_prompts=4", "name=run",
    "evaluation.samples=1", "sampler=forced_stop", "sampler.n=3", "sampler.stops=3",
    "sampler.cuts=3", "verifier=progress", "verifier.combine=mean",
    "evaluation.verifier=exact", "pairing=best_worst", "sampler.temperature=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run_small(tmp_path_factory.mktemp("forced"), *WORDS).folder) / "round_00"


def table(folder: Path) -> dict[tuple[str, int], Any]:
    files = [file for part in folder.iterdir() for file in sorted(part.resolve().glob("*.parquet"))]
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return {(row["prompt_id"], row["index"]): row for row in rows}


def golds(folder: Path) -> dict[str, str]:
    [file] = (folder / "1_prompts").resolve().glob("*.parquet")
    return {row["id"]: row["gold"] for row in pq.read_table(file).to_pylist()}


def numbers(folder: Path, stage: str) -> dict[str, float]:
    lines = map(json.loads, (folder.parent / "metrics.jsonl").read_text().splitlines())
    [found] = [
        e["metrics"] for e in lines if (e["round"], e["stage"], e["step"]) == (0, stage, None)
    ]
    return dict(found)


@pytest.mark.e2e
def test_scores_are_those_of_a_plain_loop_over_the_recorded_draws(folder: Path) -> None:
    rows, labels, gold = table(folder / "2_completions"), table(folder / "3_labels"), golds(folder)
    kept = {key: row for key, row in rows.items() if row["kind"] == "forced"}
    differing = set()
    for (prompt, index), row in rows.items():
        if row["kind"] == "forced":
            continue
        rates = []
        ends = [end for end in row["step_ends"] if end < len(row["token_ids"])]
        for end in (0, *ends):
            beginning = row["token_ids"][:end]
            said = [
                each["text"].rpartition("#")[2] == gold[prompt]
                for (of, _), each in kept.items()
                if of == prompt and each["kept_tokens"] == end
                and each["token_ids"][:end] == beginning
            ]  # fmt: skip
            if said or end in (0, ends[-1]):
                assert len(said) == 3
                rates.append(sum(said) / 3)
        right = "#" in row["text"] and row["text"].rpartition("#")[2] == gold[prompt]
        steps = [after - before for before, after in pairwise(rates)]
        gained = sum(steps) / len(steps) if steps else 0.0
        label = labels[prompt, index]
        assert label["score"] == pytest.approx(float(right) + 0.5 * gained)
        assert (label["right"], len(rates) >= 2) == (right, bool(ends))
        differing.add((right, label["score"]))
    assert len(differing) > 4
    pairs = [row for file in (folder / "4_pairs").resolve().glob("*.parquet")
             for row in pq.read_table(file).to_pylist()]  # fmt: skip
    sides = [
        rows[pair["prompt_id"], pair[side]] for pair in pairs for side in ("chosen", "rejected")
    ]
    assert sides
    assert {row["kind"] for row in sides} == {"natural"}
    rights = [
        [labels[p["prompt_id"], p[s]]["right"] for s in ("chosen", "rejected")] for p in pairs
    ]
    assert any(chosen == rejected for chosen, rejected in rights), "progress parts equal outcomes"


@pytest.mark.e2e
def test_a_forced_answer_is_a_beginning_a_text_and_what_was_sampled(folder: Path) -> None:
    rows = table(folder / "2_completions")
    forced = [row for row in rows.values() if row["kind"] == "forced"]
    beginnings = {
        (row["prompt_id"], tuple(row["token_ids"][: row["kept_tokens"]])) for row in forced
    }
    assert len(forced) == 3 * len(beginnings), "beginnings that are the same share forced answers"
    assert all(row["forced_tokens"] == 1 for row in forced)
    for row in (row for row in forced if row["continues"] is not None):
        of, end = rows[row["prompt_id"], row["continues"]], row["kept_tokens"]
        assert row["token_ids"][:end] == of["token_ids"][:end]
        assert end in of["step_ends"]
    drawn, pool = numbers(folder, "2_completions"), numbers(folder, "2_pool")
    new = sum(len(r["token_ids"]) - r["kept_tokens"] - r["forced_tokens"] for r in rows.values())
    paid = drawn["cost/generated_tokens"] + pool["cost/generated_tokens"]
    assert drawn["sample/generated_tokens"] == paid == new
    assert (drawn["sample/forced"], drawn["sample/draws_per_prompt"]) == (
        len(forced),
        len(rows) / 20,
    )
    told = numbers(folder, "3_labels")
    assert told["label/count"] == 60
    assert len({row["token_ids"][row["kept_tokens"]] for row in forced}) == 1
    at_once = [row for row in forced if row["kept_tokens"] == 0]
    assert all(row["text"].startswith("#") for row in at_once)
    right = [row["text"].rpartition("#")[2] == golds(folder)[row["prompt_id"]] for row in at_once]
    assert told["label/forced_right/0_steps"] == pytest.approx(sum(right) / len(at_once))
    assert told["label/forced_unscored"] == 0


@pytest.mark.e2e
def test_log_probs_of_forced_answers_are_the_policy_s_own(folder: Path) -> None:
    from align_cli.model.language_model import LanguageModel
    from align_cli.model.scoring import score_tokens
    from align_cli.rows import Message
    from align_cli.store.cost import Cost

    model = LanguageModel.load((folder.parent / "start" / "5_policy").resolve(), device="cpu")
    [file] = (folder / "1_prompts").resolve().glob("*.parquet")
    prompts = {row["id"]: row["messages"] for row in pq.read_table(file).to_pylist()}
    rows = [r for r in table(folder / "2_completions").values() if r["kind"] == "forced"][:20]
    begun = [model.encode_prompt([Message(**m) for m in prompts[r["prompt_id"]]]) for r in rows]
    scored = score_tokens(model, begun, [tuple(r["token_ids"]) for r in rows], Cost())
    for row, logps in zip(rows, scored, strict=True):
        assert row["logps"] == pytest.approx(list(logps), abs=1e-4)


def forced(index: int, kept: int, right: bool | None, like: Completion) -> Any:
    one = judged(index, right)
    row = replace(
        one.completion, kind="forced", token_ids=(*like.token_ids[:kept], 9),
        logps=(-0.5,) * (kept + 1), kept_tokens=kept, continues=like.index if kept else None,
    )  # fmt: skip
    return replace(one, completion=row)


def scored(members: list[Any], **settings: Any) -> list[Any]:
    said = {one.completion.index: one.label for one in members}
    return list(
        progress(
            [asked()], [[one.completion for one in members]],
            lambda prompts, completions: [said[row.index] for row in completions],
            **{"weight": 0.5, "combine": "sum"} | settings,
        )
    )  # fmt: skip


def whole(index: int, right: bool | None, ends: tuple[int, ...]) -> Any:
    one = judged(index, right, length=6)
    return replace(one, completion=replace(one.completion, step_ends=ends))


def test_unknown_outcomes_and_cuts_are_unscored_and_no_cut_is_no_progress() -> None:
    answer = whole(0, False, (2, 4))
    known = [
        forced(index, kept, right, answer.completion)
        for index, kept, right in ((1, 0, False), (2, 2, True), (3, 2, None), (4, 4, True))
    ]
    assert scored([answer, *known])[0].score == 0.5
    assert scored([answer, *known], combine="mean")[0].score == 0.25
    silent = scored([answer, *known[:3], forced(4, 4, None, answer.completion)])
    assert [label.verdict for label in silent] == [
        "timeout", "judged", "judged", "timeout", "timeout"
    ]  # fmt: skip
    assert silent[0].score is None
    assert scored([whole(0, None, (2, 4)), *known])[0].verdict == "timeout"
    assert scored([whole(0, True, ()), *known])[0].score == 1.0


def test_answers_without_forced_ones_are_a_mistake() -> None:
    answer = whole(0, True, (2, 4))
    for lacking in ([], [forced(1, 0, True, answer.completion)]):
        with pytest.raises(AlignError, match="sampler=forced_stop"):
            scored([answer, *lacking])


def test_cuts_are_spread_and_the_last_is_among_them() -> None:
    answer = replace(judged(0, None, length=12).completion, step_ends=(2, 3, 5, 7, 11))
    draws = forced_stop([asked()], [], [answer], **settings_of("forced_stop", n=2, stops=1, cuts=2))
    assert [d.index for d in draws] == list(range(len(draws)))
    assert [None if d.prefix is None else len(d.prefix.token_ids) for d in draws[2:]] == [
        None,
        3,
        11,
    ]
    assert all(d.decoding.max_new_tokens == 8 + (len(d.prefix.token_ids) if d.prefix else 0)
               for d in draws[2:])  # fmt: skip


@pytest.mark.e2e
def test_a_branch_takes_over_the_answers_and_their_last_labels(folder: Path) -> None:
    from align_cli.loop.branch import _sampled
    from align_cli.store.stage import Stage

    drawn, labelled = (
        {at.name: Stage(at.resolve(), kind, {}) for at in sorted((folder / place).iterdir())}
        for place, kind in (("2_completions", "completions"), ("3_labels", "labels"))
    )
    labels = table(folder / "3_labels")
    taken = _sampled(drawn, labelled).judged
    assert len(taken) == 60
    for one in taken:
        known = labels[one.completion.prompt_id, one.completion.index]
        assert one.label.score == known["score"]
