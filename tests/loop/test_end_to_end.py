"""The whole loop on the bundled world: it learns, it counts, it shares, it is tracked."""

import json

import pytest
from small_runs import run_small

from align_cli.rows import Completion, Judged, Label, Prompt, Score
from align_cli.store.tables import read_rows
from align_cli.training_rows import Pair, PairReference

pytestmark = pytest.mark.e2e
LEARNING = (
    "task.prompts_per_round=256", "task.heldout_prompts=150", "evaluation.samples=4",
    "schedule.batch_size=16", "schedule.micro_batch_size=16", "schedule.epochs=2",
    "schedule.checkpoint_every=50", "engine.shard_draws=1024", "schedule.learning_rate=1e-4",
)  # fmt: skip


def table(folder, place, row_type, name):
    here = folder / place
    files = sorted(here.glob(f"{name}-*.parquet")) or sorted(here.glob(f"*/{name}-*.parquet"))
    return [row for file in files for row in read_rows(file, row_type)]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def best(outputs):
    return run_small(outputs, *LEARNING)


@pytest.fixture(scope="module")
def pace(outputs):
    return run_small(outputs, *LEARNING, "sampler=pace", "loss=squaredpo")


def sampled(lines):
    return lines["6_scores"]["eval/sampled_accuracy"]


def test_two_rounds_improve_the_policy(best, pace):
    # The spread over seeds is about .02.
    for result in (best, pace):
        assert sampled(result.rounds[1]) > sampled(result.start) + 0.06
        assert result.rounds[0]["6_scores"]["eval/kl_reference_nats"] > 0
        assert result.complete


def test_shuffled_labels_do_not(outputs, best):
    coin = run_small(
        outputs, *LEARNING, "noise=flip", "noise.false_positive=0.5", "noise.false_negative=0.5"
    )
    assert sampled(coin.rounds[1]) < sampled(best.start) + 0.04
    labels = coin.rounds[0]["3_labels"]
    assert labels["label/false_positive_rate"] == pytest.approx(0.5, abs=0.08)
    assert coin.rounds[0]["4_pairs"]["pair/chosen_wrong_share"] > 0.2


def test_stages_lie_in_the_order_of_the_data(best):
    here = best.folder / "round_00"
    stages = sorted(entry.name for entry in here.iterdir() if not entry.name.endswith(".json"))
    assert stages == [
        "1_prompts", "2_completions", "3_labels", "4_pairs", "4_reference", "5_policy", "6_scores",
    ]  # fmt: skip
    assert all((here / f"{stage}.json").is_file() for stage in stages)
    assert (best.folder / "config.yaml").is_file()
    assert json.loads((best.folder / "environment.json").read_text())["versions"]["torch"]


def test_every_prompt_is_accounted_for(best, pace):
    for result in (best, pace):
        for number, stages in result.rounds.items():
            folder = result.folder / f"round_{number:02d}"
            prompts = table(folder, "1_prompts", Prompt, "prompts")
            pairs = table(folder, "4_pairs", Pair, "pairs")
            none = sum(v for k, v in stages["4_pairs"].items() if k.startswith("pair/none/"))
            assert len({pair.prompt_id for pair in pairs}) + none == len(prompts) == 256


def test_pairs_prefer_right_to_wrong_of_one_prompt(best, pace):
    for result in (best, pace):
        folder = result.folder / "round_00"
        labels = {
            (label.prompt_id, label.index): label
            for label in table(folder, "3_labels", Label, "labels")
        }
        for pair in table(folder, "4_pairs", Pair, "pairs"):
            assert labels[pair.prompt_id, pair.chosen].right is True
            assert labels[pair.prompt_id, pair.rejected].right is False


def test_pace_draws_between_two_and_three(pace):
    for number, stages in pace.rounds.items():
        drawn, pairs = stages["2_completions"], stages["4_pairs"]
        assert 2 < drawn["sample/draws_per_prompt"] < 3
        assert drawn["sample/draws_per_prompt"] == 2 + drawn["sample/corrections"] / 256
        assert pairs["pair/natural"] + pairs["pair/corrected"] == pairs["pair/count"]
        assert pairs["pair/corrected"] == pairs["gate/passed"] > 0
        gate = sum(v for k, v in pairs.items() if k.startswith("gate/"))
        assert gate == drawn["sample/corrections"]
        folder = pace.folder / f"round_{number:02d}"
        judged = {
            (c.prompt_id, c.index): Judged(completion=c, label=label)
            for c, label in zip(
                table(folder, "2_completions", Completion, "completions"),
                table(folder, "3_labels", Label, "labels"),
                strict=True,
            )
        }
        for (prompt_id, _), one in judged.items():
            if one.completion.kind == "corrected":
                both = [judged[prompt_id, index].label.right for index in (0, 1)]
                assert both == [False, False]
                assert len(one.completion.messages) == 3
                assert one.completion.prompt_logp is not None


def test_references_are_the_log_probs_at_sampling(best):
    """The reference of round 0 is the policy that drew: stored log-probs agree with its own."""
    folder = best.folder / "round_00"
    drawn = {
        (c.prompt_id, c.index): sum(c.logps)
        for c in table(folder, "2_completions", Completion, "completions")
    }
    rows = table(folder, "4_reference", PairReference, "reference")
    assert rows
    for row in rows:
        assert row.chosen_logp == pytest.approx(drawn[row.prompt_id, row.chosen], abs=1e-3)
        assert row.rejected_logp == pytest.approx(drawn[row.prompt_id, row.rejected], abs=1e-3)


def test_runs_share_what_they_have_in_common(best, pace, outputs):
    """Start and held-out scores of both runs, and best-of-4's draws under another loss."""
    assert "start/6_scores" in pace.shared()
    other = run_small(outputs, *LEARNING, "loss=squaredpo", "schedule.rounds=1")
    shared = {
        f"round_00/{stage}" for stage in ("1_prompts", "2_completions", "3_labels", "4_pairs")
    }
    assert shared | {"round_00/4_reference"} <= set(other.shared())
    assert "round_00/5_policy" not in other.shared()
    assert not best.shared()


def test_four_are_the_first_four_of_sixteen(tmp_path):
    drawn = {}
    for n in (16, 4):
        words = (f"sampler.n={n}", "schedule.rounds=1", "engine.shard_draws=4096")
        folder = run_small(tmp_path, *words).folder / "round_00"
        drawn[n] = {
            (c.prompt_id, c.index): c.token_ids
            for c in table(folder, "2_completions", Completion, "completions")
        }
    assert len(drawn[16]) == 4 * len(drawn[4]) == 768
    assert all(drawn[16][key] == tokens for key, tokens in drawn[4].items())


def test_scores_are_kept_by_prompt(best):
    scores = table(best.folder, "round_01/6_scores", Score, "scores")
    assert len(scores) == 150
    mean = sum(score.right / score.samples for score in scores) / len(scores)
    assert sampled(best.rounds[1]) == pytest.approx(mean)


def test_the_ledger_covers_the_run(best):
    lines = [best.start, *best.rounds.values()]
    stages = sum(
        metrics["time/seconds"]
        for line in lines
        for stage, metrics in line.items()
        if stage != "run"
    )
    total = best.start["run"]["time/run_seconds"]
    assert stages <= total
    assert stages == pytest.approx(total, rel=0.05)
    for line in best.rounds.values():
        assert line["2_completions"]["cost/generated_tokens"] > 0
        assert line["5_policy"]["cost/backward_flops"] > line["4_reference"]["cost/forward_flops"]
        assert line["3_labels"]["cost/verifier_calls"] == 1024


def test_the_loop_ends_where_nothing_can_be_learnt(tmp_path):
    from align_cli.errors import NothingToTrain

    words = ("sampler.temperature=0", "schedule.rounds=1")
    with pytest.raises(NothingToTrain, match=r"none of 48 prompts.*all_right \d+, all_wrong \d+"):
        run_small(tmp_path, *words)


@pytest.mark.parametrize("change", [
    ("schedule=ema",),
    ("schedule=every_m",),
    ("schedule.replay=all",),
    ("schedule.replay=last_k", "schedule.replay_rounds=1"),
    ("schedule=offline",),
    ("pairing=random",),
], ids=lambda words: words[0])  # fmt: skip
def test_choices_of_the_schedule_run_and_matter(outputs, change):
    shared = ("schedule.rounds=3", "task.heldout_prompts=4", "evaluation.samples=0")
    plain = run_small(outputs, *shared)
    changed = run_small(outputs, *shared, *change)
    last = [r.rounds[2]["5_policy"]["after/loss"] for r in (plain, changed)]
    assert last[0] != last[1]
    if "replay" in change[0]:
        wanted = 3 if change[0].endswith("all") else 2
        counts = [r["4_pairs"]["pair/count"] for r in changed.rounds.values()]
        assert changed.rounds[2]["4_reference"]["reference/pairs"] == sum(counts[-wanted:])
