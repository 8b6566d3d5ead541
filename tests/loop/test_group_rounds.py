"""Rounds that train on groups: every completion accounted for, everything computed once."""

import io
import json
import signal

import pytest
from rich.console import Console
from small_runs import TOYS, attempt, contents, run_small

from align_cli.errors import NothingToTrain
from align_cli.rows import Completion, Label
from align_cli.store.tables import read_rows
from align_cli.training_rows import Group, GroupReference, MismatchReference, PairReference

pytestmark = pytest.mark.e2e
ONE = ("schedule.rounds=1",)


def table(folder, place, row_type, name):
    here = folder / place
    files = sorted(here.glob(f"{name}-*.parquet")) or sorted(here.glob(f"*/{name}-*.parquet"))
    return [row for file in files for row in read_rows(file, row_type)]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def plain(outputs):
    return run_small(outputs, *TOYS, "loss=squares", "schedule.learning_rate=1e-4")


@pytest.fixture(scope="module")
def pace(outputs):
    words = ("loss=squares", "sampler=pace", "schedule.rounds=1", "pairing.least_size=3")
    return run_small(outputs, *TOYS, *words)


def test_every_prompt_is_a_group_or_is_counted(plain, pace):
    for result in (plain, pace):
        for number, lines in result.rounds.items():
            metrics = lines["4_pairs"]
            groups = table(result.folder, f"round_{number:02d}/4_pairs", Group, "groups")
            none = sum(v for name, v in metrics.items() if name.startswith("group/none/"))
            assert len({group.prompt_id for group in groups}) == metrics["group/count"]
            assert metrics["group/count"] + none == 48
            assert metrics["group/completions"] == sum(len(g.indices) for g in groups)
    assert "group/none/tied" in plain.rounds[0]["4_pairs"]
    # PACE draws two where the first two hold a right answer: those prompts are too few here.
    assert pace.rounds[0]["4_pairs"]["group/none/too_few"] > 0
    record = json.loads((pace.folder / "round_00/4_pairs/record.json").read_text())
    assert record["rows_in"] == record["rows_out"] + sum(record["dropped"].values())


def test_members_are_the_judged_siblings_with_their_scores(plain):
    labels = table(plain.folder, "round_00/3_labels", Label, "labels")
    by_prompt = {}
    for label in labels:
        by_prompt.setdefault(label.prompt_id, []).append(label)
    groups = table(plain.folder, "round_00/4_pairs", Group, "groups")
    assert groups
    for group in groups:
        siblings = sorted(by_prompt.pop(group.prompt_id), key=lambda label: label.index)
        assert group.indices == tuple(label.index for label in siblings)
        assert group.scores == tuple(label.score for label in siblings)
        assert group.rights == tuple(label.right for label in siblings)
    assert all(len({label.score for label in siblings}) == 1 for siblings in by_prompt.values())


def test_corrections_are_members_or_counted_as_left_out(outputs, pace):
    words = ("loss=squares", "sampler=pace", "schedule.rounds=1", "pairing.keep_tied=true")
    with_them = run_small(outputs, *TOYS, *words).rounds[0]["4_pairs"]
    without = run_small(outputs, *TOYS, *words, "pairing.corrections=false").rounds[0]["4_pairs"]
    assert with_them["group/corrected"] == with_them["gate/passed"] > 0
    assert with_them["group/left_out"] == without["group/corrected"] == 0
    assert without["group/left_out"] == with_them["group/corrected"]
    assert (
        without["group/completions"]
        == with_them["group/completions"] - with_them["group/corrected"]
    )
    # A correction that is right unties the two attempts it follows.
    assert without["group/tied"] > with_them["group/tied"] > 0


def test_references_are_the_log_probs_at_sampling(plain):
    drawn = {
        (c.prompt_id, c.index): sum(c.logps)
        for c in table(plain.folder, "round_00/2_completions", Completion, "completions")
    }
    groups = table(plain.folder, "round_00/4_pairs", Group, "groups")
    rows = table(plain.folder, "round_00/4_reference", GroupReference, "reference")
    assert [(r.prompt_id, r.indices) for r in rows] == [(g.prompt_id, g.indices) for g in groups]
    for row in rows:
        for index, logp in zip(row.indices, row.member_logps, strict=True):
            assert logp == pytest.approx(drawn[row.prompt_id, index], abs=1e-3)


def test_the_first_step_is_at_the_reference(plain):
    """Loss of the toy at the reference: mean of (2 (score - mean score)) ** 2 of each group."""
    groups = table(plain.folder, "round_00/4_pairs", Group, "groups")
    spreads = {4 * sum(g.scores) / 4 * (1 - sum(g.scores) / 4) for g in groups}
    steps = [json.loads(line) for line in (plain.folder / "metrics.jsonl").open()]
    first = next(s["metrics"] for s in steps if s["step"] == 0)
    assert min(spreads) - 1e-3 <= first["train/loss"] <= max(spreads) + 1e-3
    assert first["train/chosen_logratio_nats"] == pytest.approx(0, abs=1e-3)
    after = plain.rounds[0]["5_policy"]
    assert after["after/loss"] < first["train/loss"]
    assert after["after/reward_margin"] > 0.1
    # Batches count groups.
    assert sum(s["step"] is not None and s["round"] == 0 for s in steps) == -(-len(groups) // 4)


def test_what_is_not_asked_for_is_not_computed(outputs, plain):
    likely = run_small(outputs, *TOYS, *ONE, "loss=likely")
    assert not (likely.folder / "round_00" / "4_reference").exists()
    assert not (plain.folder / "round_00" / "4_mismatch").exists()
    assert "round_00/4_pairs" in likely.shared()


def test_a_mismatch_is_the_next_groups_first_answer_under_this_groups_prompt(outputs, plain):
    from align_cli.model.language_model import LanguageModel
    from align_cli.model.scoring import score_sequences
    from align_cli.rows import Prompt
    from align_cli.store.cost import Cost

    result = run_small(outputs, *TOYS, *ONE, "loss=mismatched")
    # The reference log-probs are those that another loss on the same groups has had computed.
    assert "round_00/4_reference" in result.shared()
    folder = result.folder / "round_00"
    groups = table(folder, "4_pairs", Group, "groups")
    rows = table(folder, "4_mismatch", MismatchReference, "reference")
    nexts = [*groups[1:], groups[0]]
    assert [(r.prompt_id, r.other_prompt_id, r.other_index) for r in rows] == [
        (g.prompt_id, n.prompt_id, n.indices[0]) for g, n in zip(groups, nexts, strict=True)
    ]
    prompts = {p.id: p for p in table(folder, "1_prompts", Prompt, "prompts")}
    tokens = {
        (c.prompt_id, c.index): c.token_ids
        for c in table(folder, "2_completions", Completion, "completions")
    }
    model = LanguageModel.load(result.folder / "start" / "5_policy", device="cpu")
    naive = score_sequences(
        model,
        [model.encode_prompt(prompts[r.prompt_id].messages) for r in rows],
        [tokens[r.other_prompt_id, r.other_index] for r in rows],
        Cost(),
    )
    assert [r.logp for r in rows] == pytest.approx(naive, abs=1e-4)
    steps = [json.loads(line) for line in (result.folder / "metrics.jsonl").open()]
    first = next(s["metrics"] for s in steps if s["step"] == 0)
    assert first["train/mismatch_logratio_nats"] == pytest.approx(0, abs=1e-3)
    # Answers to other problems have become likelier or less likely than they were.
    assert abs(result.rounds[0]["5_policy"]["after/mismatch_logratio_nats"]) > 1e-4


def test_a_replayed_round_is_trained_on_again(outputs, plain):
    words = ("loss=squares", "schedule.learning_rate=1e-4", "schedule.replay=all")
    replayed = run_small(outputs, *TOYS, *words)
    counts = [lines["4_pairs"]["group/count"] for lines in replayed.rounds.values()]
    assert [lines["4_reference"]["reference/groups"] for lines in replayed.rounds.values()] == [
        counts[0],
        sum(counts),
    ]
    rows = table(replayed.folder, "round_01/4_reference", GroupReference, "reference")
    assert [row.round for row in rows] == [0] * int(counts[0]) + [1] * int(counts[1])
    assert "round_00/5_policy" in replayed.shared()
    assert "round_01/5_policy" not in replayed.shared()


def test_nothing_but_ties_is_nothing_to_train_with_the_yield(outputs):
    words = ("loss=squares", "sampler.temperature=0", "schedule.rounds=1")
    with pytest.raises(NothingToTrain, match=r"none of 48 prompts gave a group \(tied 48\).*tied"):
        run_small(outputs, *TOYS, *words)


def test_tables_say_groups(plain):
    from align_cli.report.show import show
    from align_cli.report.tables import print_result

    console = Console(file=io.StringIO(), width=110)
    print_result(plain, console)
    show(plain.folder, prompt=None, round_number=None, console=console, as_json=False)
    text = console.file.getvalue()
    count = plain.rounds[0]["4_pairs"]["group/count"]
    assert f"{count:.0f}" in text.split("\n")[2].split()
    assert "members" in text
    assert "round 0: prompts without a group: tied" in text
    assert "trained groups" in text
    assert "natural" not in text
    group = table(plain.folder, "round_00/4_pairs", Group, "groups")[0]
    console = Console(file=io.StringIO(), width=110)
    show(plain.folder, prompt=group.prompt_id, round_number=0, console=console, as_json=False)
    assert console.file.getvalue().count("member") == len(group.indices)


@pytest.mark.slow
def test_killed_and_resumed_is_byte_identical(tmp_path):
    """Kills in the pairing stage, the reference, the mismatch and in training, all the way."""
    words = (*TOYS, "loss=mismatched", "schedule.rounds=1", "schedule.checkpoint_every=3")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert attempt(straight, tmp_path / "log", None, words) == 0
    events = (tmp_path / "log").read_text().splitlines()
    # Into the writing of groups, of references and of mismatches, then twice into training.
    for moment in (events.index("write pairs") + 1, 18, 18, 22, 26):
        assert attempt(killed, tmp_path / "killed.log", moment, words) == -signal.SIGKILL
    assert attempt(killed, tmp_path / "killed.log", None, words) == 0
    assert contents(killed) == contents(straight)
    often = (tmp_path / "killed.log").read_text().splitlines()
    assert often.count("write pairs") == events.count("write pairs") + 1
    assert often.count("write reference") > events.count("write reference") == 2
    repeated = often.count("train-step") - events.count("train-step")
    assert 0 < repeated <= 3 * 2


def test_the_policy_that_enters_the_round_is_scored_only_if_it_is_asked_for(outputs):
    """`start_pairs` are the reference's rows where both are one policy, else their own."""
    words = ("loss=towards_start", "schedule.rounds=2", "schedule.learning_rate=1e-4")
    same = run_small(outputs, *TOYS, *words, "schedule.reference=previous")
    assert not (same.folder / "round_01" / "4_start").exists()
    other = run_small(outputs, *TOYS, *words, "schedule.reference=initial")
    # Round 0 begins with the initial policy.
    assert not (other.folder / "round_00" / "4_start").exists()
    rows = [
        table(other.folder, f"round_01/{place}", PairReference, "reference")
        for place in ("4_reference", "4_start")
    ]
    keys = [[(r.prompt_id, r.chosen, r.rejected) for r in side] for side in rows]
    assert keys[0] == keys[1]
    assert any(a.chosen_logp != b.chosen_logp for a, b in zip(*rows, strict=True))
    drawn = {
        (c.prompt_id, c.index): sum(c.logps)
        for c in table(other.folder, "round_01/2_completions", Completion, "completions")
    }
    for row in rows[1]:
        assert row.chosen_logp == pytest.approx(drawn[row.prompt_id, row.chosen], abs=1e-3)
