"""Selection accounting and the held-out verifier: against enumeration, and in a run."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from judged_rows import judged
from small_runs import run_small
from typer.testing import CliRunner

from align_cli.cli.app import app
from align_cli.loop.audit_numbers import audit_metrics
from align_cli.loop.best_of import Twice, best_of
from align_cli.loop.selection import one_kind, predicted_wrong_share
from align_cli.noise.false_winners import Difficulty, chosen_wrong_share
from align_cli.rows import Judged, Label
from align_cli.training_rows import Pair


def test_best_of_n_is_the_mean_over_all_choices_of_n() -> None:
    rng = random.Random(3)
    answers = [
        Twice(name, float(rng.randint(0, 2)), float(rng.randint(0, 1)))
        for name in "ab"
        for _ in range(5)
    ]
    found = best_of(answers)
    assert list(found) == [1, 2, 4]
    for n, (score, audited) in found.items():
        wanted = [0.0, 0.0]
        for name in "ab":
            mine = [one for one in answers if one.prompt_id == name]
            draws = list(combinations(mine, n))
            for some in draws:
                top = [one for one in some if one.score == max(each.score for each in some)]
                wanted[0] += top[0].score / len(draws) / 2
                wanted[1] += sum(one.audited for one in top) / len(top) / len(draws) / 2
        assert (score, audited) == pytest.approx(wanted)


def test_prompts_of_few_answers_bound_n() -> None:
    few = [Twice("a", 1.0, 1.0)] * 4 + [Twice("b", 0.0, 1.0)] * 2
    assert list(best_of(few)) == [1, 2]
    assert best_of([]) == {}


def test_the_prediction_is_the_formula_s_where_chances_are_known() -> None:
    """4,000 prompts of one difficulty a stratum, verdicts and errors drawn: the closed form."""
    rng = random.Random(0)
    chances = {"easy": 0.8, "hard": 0.1}
    truth: dict[tuple[str, int], bool] = {}
    said: dict[tuple[str, int], bool] = {}
    strata: dict[str, str] = {}
    for name, p in chances.items():
        for prompt in range(2000):
            strata[f"{name}{prompt}"] = name
            for index in range(4):
                key = (f"{name}{prompt}", index)
                truth[key] = rng.random() < p
                said[key] = rng.random() < (0.6 if truth[key] else 0.2)
    found = predicted_wrong_share(said, truth, strata)
    parts = {
        name: Difficulty(right=p, false_positive=0.2, false_negative=0.4, prompts=1)
        for name, p in chances.items()
    }
    for name, part in parts.items():
        assert found[name] == pytest.approx(chosen_wrong_share([part], 4), abs=0.02)
    assert found[""] == pytest.approx(chosen_wrong_share(list(parts.values()), 4), abs=0.02)


ROWS = [judged(0, True), judged(1, True), judged(2, False), judged(3, False), judged(4, None)]


def audited(*rights: bool | None) -> Mapping[tuple[str, int], Label]:
    return {
        (label.prompt_id, label.index): label
        for label in (judged(index, right).label for index, right in enumerate(rights))
    }


def numbers(rows: list[Judged], labels: Mapping[tuple[str, int], Label]) -> dict[str, float]:
    pairs = [
        Pair(prompt_id=rows[0].label.prompt_id, chosen=a, rejected=b, margin=1.0, kind="natural")
        for a, b in [(0, 2), (1, 2)]
    ]
    strata = {rows[0].label.prompt_id: "2 steps"}
    return audit_metrics(rows, labels, pairs, strata, predicts=True)


def test_an_audit_counts_what_both_could_judge() -> None:
    found = numbers(ROWS, audited(True, False, True, None, False))
    assert (found["audit/judged"], found["audit/unscored"]) == (3, 1)
    assert found["audit/right_share"] == found["audit/said_right_share"] == pytest.approx(2 / 3)
    assert found["audit/gap"] == 0
    assert (found["audit/false_positive_rate"], found["audit/false_negative_rate"]) == (1.0, 0.5)
    assert found["audit/chosen_wrong_share"] == found["audit/chosen_wrong_share/2 steps"] == 0.5
    # 0 over 2 is a tie by the audit, 1 over 2 is turned.
    assert found["audit/pairs_turned_share"] == 0.5
    assert found["audit/chosen_wrong_predicted"] > 0
    assert (found["audit/best_of_1"], found["audit/best_of_1/said"]) == (
        pytest.approx(2 / 3), pytest.approx(2 / 3),
    )  # fmt: skip


def test_an_audit_of_grades_says_nothing_of_verdicts() -> None:
    graded = {
        key: replace(label, right=None, score=0.25 * key[1])
        for key, label in audited(True, True, True, True, True).items()
    }
    found = numbers(ROWS, graded)
    assert not [name for name in found if "right" in name or "wrong" in name or "rate" in name]
    assert found["audit/pairs_turned_share"] == 1.0
    assert found["audit/best_of_1"] == pytest.approx((0 + 0.25 + 0.5 + 0.75) / 4)


def test_answers_of_two_kinds_are_not_predicted() -> None:
    assert one_kind(ROWS)
    assert not one_kind([*ROWS, judged(5, True, corrects=2)])
    other = replace(ROWS[0].completion, author="reference", index=5)
    assert not one_kind([*ROWS, replace(ROWS[0], completion=other)])


@pytest.mark.e2e
def test_a_run_is_audited_by_its_examiner_and_shows_it(tmp_path: Path) -> None:
    words = ("schedule.rounds=1", "task.prompts_per_round=40", "task.heldout_prompts=4",
             "evaluation.samples=1", "sampler.n=4", "verifier=dpo_r1", "verifier.workers=1",
             "evaluation.verifier=exact", "noise=flip", "noise.false_positive=0.3",
             "noise.false_negative=0.0")  # fmt: skip
    folder = run_small(tmp_path, *words, "name=run").folder
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    by_stage = {line["stage"]: line["metrics"] for line in lines if line["round"] == 0}
    found, paired = by_stage["4_audit"], by_stage["4_pairs"]
    assert found["audit/judged"] == 160
    assert found["audit/false_positive_rate"] == pytest.approx(0.3, abs=0.15)
    assert found["audit/gap"] > 0.05
    # Both read the bundled world's answers alike, so the audit agrees with the clean word.
    assert found["audit/chosen_wrong_share"] == paired["pair/chosen_wrong_share"] > 0
    wanted = paired["pair/chosen_wrong_predicted"]
    assert paired["pair/chosen_wrong_share"] == pytest.approx(wanted, abs=0.15)
    assert found["audit/best_of_4/said"] > found["audit/best_of_4"]
    assert "cost/verifier_calls" in found
    shown = CliRunner().invoke(app, ["show", "run", "--outputs", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "best of 1:" in shown.output
    told = json.loads(
        CliRunner().invoke(app, ["show", "run", "--outputs", str(tmp_path), "--json"]).output
    )["trust"]
    assert told["audit"]["0"]["gap"] == found["audit/gap"]
    assert told["pairs"]["0"]["expected"] == wanted
    prompt = next(
        row["prompt_id"]
        for file in sorted((folder / "round_00" / "4_pairs").glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    )
    one = CliRunner().invoke(app, ["show", "run", "--outputs", str(tmp_path), "--prompt", prompt])
    assert "audit" in one.output
    # Judged beside, never trained on: without the audit the pairs are the same stage.
    again = run_small(tmp_path, *words, "name=bare", "evaluation.audit=false").folder
    assert not (again / "round_00" / "4_audit").exists()
    assert (again / "round_00" / "4_pairs").resolve() == (folder / "round_00" / "4_pairs").resolve()


@pytest.mark.e2e
def test_the_command_takes_an_examiner_by_name(tmp_path: Path) -> None:
    """Through Hydra's own main, and through the compositions of a sweep."""
    from align_cli.config.compose import compose
    from align_cli.config.grid import compose_each

    words = ["evaluation.verifier=math_strict", "tracker=none", f"outputs={tmp_path}"]
    [cell] = compose_each([words])
    assert not isinstance(cell, Exception)
    assert cell.identity() == compose(words).identity()
    assert cell.examiner().settings["extract"] == "marked"
    from small_runs import SMALL

    tiny = ["task.heldout_prompts=2", "evaluation.samples=1", "task.prompts_per_round=2"]
    taken = {word.split("=")[0] for word in [*words, *tiny]}
    rest = [word for word in SMALL if word.split("=")[0] not in taken]
    done = CliRunner().invoke(app, ["eval", *rest, *tiny, "evaluation.verifier=exact", *words[1:]])
    assert done.exit_code == 0, done.output
