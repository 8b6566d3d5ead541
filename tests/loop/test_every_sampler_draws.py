"""Each sampler in a small round: what it draws depends on neither batches nor prompt order."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judged_rows import judged
from small_runs import run_small, words_of

from align_cli.config.catalogue import choices
from align_cli.rows import Message

WORDS = ("schedule.rounds=1", "task.prompts_per_round=12", "task.heldout_prompts=8")
SURE = (-0.001,) * 4
SETTINGS = {
    "best_of_n": ["sampler.n=3"],
    "adaptive": ["sampler.n=4", "sampler.mean_draws=2.75"],
    "rejection": ["sampler.n=4"],
    "mixed": ["sampler.n=3"],
    "self_correct": ["sampler.steps=2", "sampler.shows=all"],
    "contrast_modes": ["sampler.n=3"],
    "directional": ["sampler.n=3"],
    "tree": ["sampler.n=8", "sampler.first=3", "sampler.breadth=3"],
}
OF_BANDITS = ("pair_law", "every_arm")
"""These have tests of their own: tests/sampler/test_pair_law.py, test_exact_gradients_run.py."""
SAMPLERS = [
    choice.name
    for choice in choices("sampler")
    if not any(name in choice.file.read_text() for name in OF_BANDITS)
]


def sampled(outputs: Path, *words: str, reverse: bool) -> dict[tuple[str, int], Any]:
    """Rows of the first round; log-probs are left out, whose last digits follow the batch."""
    from align_cli.config.compose import compose
    from align_cli.loop.policies import start_policy
    from align_cli.loop.prompts import ask_questions
    from align_cli.loop.sampling import sample
    from align_cli.loop.setup import opened
    from align_cli.report.reporter import Silent

    with opened(compose(words_of(outputs, [*WORDS, *words])), Silent(), command="run") as loop:
        prompts, asked = ask_questions(loop, 0)
        policy = start_policy(loop, prompts, asked)
        authors = dict.fromkeys(("current", "reference", "initial"), policy)
        found = sample(loop, 0, prompts[::-1] if reverse else prompts, asked, authors, [])
    return {
        (one.completion.prompt_id, one.completion.index): (
            one.completion.token_ids, one.completion.author, one.completion.kind,
            one.completion.corrects, one.completion.messages, one.completion.seed, one.label.right,
            one.completion.continues, one.completion.kept_tokens, one.completion.step_ends,
        )
        for one in found.judged
    }  # fmt: skip


def given_answers(folder: Path) -> list[str]:
    """Words of a run whose questions and answers are in a file."""
    file = folder / "answers.jsonl"
    rows = [
        {"question": f"{a}+{b}", "answer": str(a + b), "good": f"{a}+{b}={a + b}#{a + b}",
         "bad": f"{a}+{b}={a + b + 1}#{a + b + 1}"}
        for a in range(4) for b in range(5)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = ["task=jsonl", f"task.path={file}", "task.prompts_per_round=12"]
    return [*task, f"sampler.path={file}", "sampler.answer_fields=[bad,good]"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_batches_and_prompt_order_decide_nothing(sampler: str, tmp_path: Path) -> None:
    settings = given_answers(tmp_path) if sampler == "offline" else SETTINGS.get(sampler, [])
    words = (f"sampler={sampler}", *settings)
    once = sampled(tmp_path / "a", *words, reverse=False)
    smaller = ("engine.shard_draws=5", "engine.rows=3")
    again = sampled(tmp_path / "b", *words, *smaller, reverse=True)
    assert len(once) >= 12
    assert once == again


def numbers(outputs: Path, *words: str) -> dict[str, float]:
    """{metric: value} of the round's draws and pairs."""
    run_small(outputs, *WORDS, "name=run", *words)
    lines = (outputs / "run" / "metrics.jsonl").read_text().splitlines()
    return {
        key: value
        for line in map(json.loads, lines)
        if line["round"] == 0
        for key, value in line["metrics"].items()
    }


def test_an_adaptive_run_spends_its_budget_and_reports_it(tmp_path: Path) -> None:
    found = numbers(
        tmp_path, "sampler=adaptive", "sampler.n=6", "sampler.mean_draws=2.5", "sampler.first=1"
    )
    assert found["sample/completions"] <= 30
    assert found["sample/draws_per_prompt"] == found["sample/completions"] / 12
    assert found["sample/draws_per_prompt"] > 2


def test_a_chain_of_corrections_trains(tmp_path: Path) -> None:
    found = numbers(tmp_path, "sampler=self_correct", "sampler.hint=gold")
    assert found["sample/corrections"] > 0
    assert found["gate/passed"] == found["pair/corrected"] > 0


def test_a_run_tells_who_wrote_and_what_was_asked_in_other_words(tmp_path: Path) -> None:
    words = ("pairing=best_worst", "sampler.n=2")
    both = numbers(tmp_path / "modes", "sampler=contrast_modes", *words)
    mixed = numbers(tmp_path / "mixed", "sampler=mixed", *words)
    assert (both["sample/reworded"], both["sample/corrections"]) == (12, 0)
    assert (mixed["sample/by_reference"], mixed["sample/corrections"]) == (12, 0)
    assert "sample/by_reference" not in both
    assert "sample/reworded" not in mixed


def test_numbers_of_the_policy_are_of_its_own_plain_draws() -> None:
    from align_cli.loop.sampling import completion_metrics

    own = judged(0, True, length=4).completion
    others = replace(own, index=1, author="reference", logps=SURE)
    asked_otherwise = replace(
        own, index=2, messages=(Message("user", "briefly"),), prompt_logp=-1.0, logps=SURE
    )
    found = completion_metrics([own, others, asked_otherwise], 1)
    assert found["sample/entropy_nats_per_token"] == pytest.approx(0.5)
    assert found["sample/natural_logp_nats_per_token"] == pytest.approx(-0.5)
    assert (found["sample/by_reference"], found["sample/reworded"]) == (1, 1)
    assert "sample/corrected_logp_nats_per_token" not in found
