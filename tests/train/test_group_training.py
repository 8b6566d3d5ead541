"""Training on groups against naive computation, against pairs, and over interruption."""

from dataclasses import replace

import pytest
import small_training
import torch
from small_training import trained, weights
from torch.nn.functional import logsigmoid
from toy_group_loss import likely, mismatched, squares

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss
from align_cli.loss.pairwise import pairwise
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import sequence_logps
from align_cli.policy.scratch import scratch
from align_cli.rows import Message
from align_cli.store.cost import Cost
from align_cli.train import steps
from align_cli.train.group_batches import GroupExample, GroupTask, Mismatch
from align_cli.train.group_numbers import group_numbers
from align_cli.train.pair_batches import PairExample, PairTask
from align_cli.train.steps import numbers_after
from align_cli.training_rows import GroupReference, MismatchReference, PairReference

PLAN = replace(small_training.PLAN, batch_size=2, micro_batch_size=2)
SIZES = (2, 3, 4, 2, 3)
SHIFT = -0.25
"""The stored reference is this far from the policy's own log-probs [nats]."""


def toy_squares(groups, ref_groups, group_labels, **_):
    return squares(groups, ref_groups, group_labels, scale=2.0)


def toy_mismatched(groups, ref_groups, group_labels, mismatch_logratio_G):
    return mismatched(groups, ref_groups, group_labels, mismatch_logratio_G, scale=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("policy")
    scratch(place, 3, tokenizer="characters", layers=2, width=16, heads=2, mlp_width=32, window=64)
    return place


@pytest.fixture
def model(folder):
    return LanguageModel.load(folder, device="cpu")


def examples_of(model, sizes=SIZES):
    found = []
    for number, size in enumerate(sizes):
        ids = [model.encode_response(f"{number}{'+1' * i}#{i}") for i in range(size)]
        found.append(
            GroupExample(
                prompt_id=f"p{number}", round=0, indices=tuple(range(size)),
                scores=tuple(float(i == 0) for i in range(size)),
                rights=tuple(i == 0 for i in range(size)),
                prompt_ids=model.encode_prompt((Message("user", f"{number}+{number}"),)),
                completion_ids=tuple(ids), mismatch=None,
            )
        )  # fmt: skip
    others = [found[(n + 1) % len(found)] for n in range(len(found))]
    return [
        replace(
            e,
            mismatch=Mismatch(
                prompt_id=o.prompt_id, round=0, index=0, token_ids=o.completion_ids[0]
            ),
        )
        for e, o in zip(found, others, strict=True)
    ]


@torch.no_grad()
def logps(model, example, completions):
    """One sequence at a time."""
    return [
        float(sequence_logps(model.network, [example.prompt_ids], [ids])[0]) for ids in completions
    ]


def task_of(model, loss, *, asks, plan=PLAN):
    examples = examples_of(model)
    known = {
        "ref_groups": [
            GroupReference(
                prompt_id=e.prompt_id, round=0, indices=e.indices,
                member_logps=tuple(logp + SHIFT for logp in logps(model, e, e.completion_ids)),
            )
            for e in examples
        ],
        "mismatch_logratio_G": [
            MismatchReference(
                prompt_id=e.prompt_id, round=0, other_prompt_id=e.mismatch.prompt_id,
                other_round=0, other_index=0,
                logp=logps(model, e, [e.mismatch.token_ids])[0] + SHIFT * n,
            )
            for n, e in enumerate(examples)
        ],
    }  # fmt: skip
    kept = {name: rows for name, rows in known.items() if name in asks}
    return GroupTask(examples, kept, loss, plan, seed=5, round_number=0)


def test_a_loss_is_offered_what_each_completion_has_by_itself(model):
    seen = {}

    def spy(groups, ref_groups, group_labels, mismatch_logratio_G):
        seen.update(g=groups, r=ref_groups, l=group_labels, m=mismatch_logratio_G)
        return GroupLoss(groups.logp_C.new_zeros(groups.groups), groups.logp_C.detach())

    task = task_of(model, spy, asks={"ref_groups", "mismatch_logratio_G"})
    cost = Cost()
    task.losses(model, [2, 0], cost)
    picked = [task.examples[2], task.examples[0]]
    naive = [logp for e in picked for logp in logps(model, e, e.completion_ids)]
    assert seen["g"].logp_C.tolist() == pytest.approx(naive, abs=1e-4)
    assert seen["g"].group_C.tolist() == [0, 0, 0, 0, 1, 1]
    assert seen["g"].len_C.tolist() == [len(ids) for e in picked for ids in e.completion_ids]
    assert seen["r"].logp_C.tolist() == pytest.approx([x + SHIFT for x in naive], abs=1e-4)
    assert seen["l"].score_C.tolist() == [1, 0, 0, 0, 1, 0]
    assert seen["l"].right_C.tolist() == [True, False, False, False, True, False]
    assert seen["m"].tolist() == pytest.approx([-SHIFT * 2, 0.0], abs=1e-4)
    assert not seen["m"].requires_grad
    assert cost.forward_flops > 0


def test_what_is_not_asked_for_is_not_there(model):
    def bare(groups, ref_groups, group_labels, mismatch_logratio_G):
        assert ref_groups is None
        assert mismatch_logratio_G is None
        return likely(groups, group_labels)

    task = task_of(model, bare, asks=set())
    numbers = task.losses(model, [0], Cost()).numbers
    assert "chosen_logratio_nats" not in numbers
    assert "mismatch_logratio_nats" not in numbers


def test_a_judge_that_grades_in_one_group_gives_no_verdicts(model):
    task = task_of(model, toy_squares, asks={"ref_groups"})
    graded = replace(task.examples[1], rights=None)
    task = replace(task, examples=[task.examples[0], graded])

    def spy(group_labels, groups, **_):
        assert group_labels.right_C is None
        return likely(groups, group_labels)

    replace(task, loss=spy).losses(model, [0, 1], Cost())


def test_a_group_of_two_trains_as_the_pair_that_it_is(folder, tmp_path):
    """DPO told as a loss on groups takes the steps of DPO on pairs: one loop serves both."""

    def dpo(groups, ref_groups, **_):
        ratio_C = groups.logp_C - ref_groups.logp_C
        loss_G = -logsigmoid(0.5 * (ratio_C[0::2] - ratio_C[1::2]))
        return GroupLoss(loss_G, 0.5 * ratio_C.detach())

    models = [LanguageModel.load(folder, device="cpu") for _ in range(2)]
    examples = examples_of(models[0], sizes=(2,) * 6)
    stored = [logps(models[0], e, e.completion_ids) for e in examples]
    pairs = PairTask(
        [
            PairExample(
                prompt_id=e.prompt_id, round=0, chosen=0, rejected=1, margin=1.0, chosen_score=1.0,
                rejected_score=0.0, prompt_ids=e.prompt_ids, chosen_ids=e.completion_ids[0],
                rejected_ids=e.completion_ids[1],
            )
            for e in examples
        ],
        {"ref_pairs": [
            PairReference(prompt_id="", round=0, chosen=0, rejected=1, chosen_logp=a,
                          rejected_logp=b)
            for a, b in stored
        ]},
        lambda pairs, ref_pairs, **_: pairwise(pairs, ref_pairs, beta=0.5),
        PLAN, seed=5, round_number=0,
    )  # fmt: skip
    rows = [
        GroupReference(prompt_id="", round=0, indices=(0, 1), member_logps=(a, b))
        for a, b in stored
    ]
    groups = GroupTask(examples, {"ref_groups": rows}, dpo, PLAN, seed=5, round_number=0)
    by_pair = trained(models[0], pairs, tmp_path / "pairs")
    by_group = trained(models[1], groups, tmp_path / "groups")
    assert by_pair.keys() == by_group.keys()
    for step, metrics in by_pair.items():
        for name, value in metrics.items():
            assert by_group[step][name] == pytest.approx(value, abs=2e-4), (step, name)
    after = [numbers_after(m, t, Cost()) for m, t in zip(models, (pairs, groups), strict=True)]
    assert after[0]["after/chosen_logratio_nats"] != 0
    for name, value in after[0].items():
        assert after[1][name] == pytest.approx(value, abs=2e-4), name


def test_accumulation_is_one_batch(folder, tmp_path):
    found = []
    for micro in (1, 3):
        model = LanguageModel.load(folder, device="cpu")
        plan = replace(PLAN, batch_size=3, micro_batch_size=micro)
        task = task_of(model, toy_squares, asks={"ref_groups"}, plan=plan)
        steps = trained(model, task, tmp_path / str(micro))
        found.append(steps)
    for name, value in found[1][0].items():
        assert found[0][0][name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    losses = [[steps[n]["train/loss"] for n in sorted(steps)] for steps in found]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("stop_after", [0, 1, 2, 4])
def test_killed_and_resumed_is_bitwise_the_straight_run(folder, tmp_path, stop_after):
    def fresh():
        return LanguageModel.load(folder, device="cpu")

    straight = fresh()
    task = task_of(straight, toy_mismatched, asks={"ref_groups", "mismatch_logratio_G"})
    whole = trained(straight, task, tmp_path / "straight")
    assert len(whole) == 6
    with pytest.raises(KeyboardInterrupt):
        trained(fresh(), task, tmp_path / "w", stop_after=stop_after)
    model = fresh()
    rest = trained(model, task, tmp_path / "w")
    assert min(rest) == stop_after // 2 * 2
    assert {step: whole[step] for step in rest} == rest
    assert all(torch.equal(a, weights(model)[name]) for name, a in weights(straight).items())


def test_training_puts_the_best_first(model, tmp_path):
    plan = replace(PLAN, epochs=30)
    task = task_of(model, toy_squares, asks={"ref_groups"}, plan=plan)
    before = numbers_after(model, task, Cost())
    trained(model, task, tmp_path)
    after = numbers_after(model, task, Cost())
    assert after["after/loss"] < 0.5 * before["after/loss"]
    assert after["after/accuracy"] == 1.0
    assert after["after/reward_margin"] > 1


def test_the_numbers_after_do_not_depend_on_how_they_are_cut(model, monkeypatch):
    task = task_of(model, toy_squares, asks={"ref_groups"}, plan=replace(PLAN, micro_batch_size=1))
    whole = numbers_after(model, task, Cost())
    seen = []

    def watched(self, model, places, *more):
        seen.append(list(places))
        return unwatched(self, model, places, *more)

    unwatched = GroupTask.losses
    monkeypatch.setattr(GroupTask, "losses", watched)
    monkeypatch.setattr(steps, "TOKENS_AT_ONCE", 100)
    cut = numbers_after(model, task, Cost())
    assert len(seen) > 2
    assert sorted(place for places in seen for place in places) == list(range(len(SIZES)))
    for places in seen:
        lengths = [n for place in places for n in task.lengths(place)]
        assert len(lengths) * max(lengths) <= 100 or len(places) == 1
    for name, value in whole.items():
        assert cut[name] == pytest.approx(value, abs=1e-4), name


def test_numbers_are_those_of_plain_loops():
    scores = [[1.0, 0.0, 1.0, 0.5], [0.3, 0.3], [0.0, 2.0, 1.0]]
    rewards = [[0.1, 0.4, -0.2, 0.4], [1.0, 2.0], [-1.0, 3.0, 3.0]]
    reference = [[0.0, 0.5, 0.0, 0.0], [0.0, 0.0], [-2.0, 4.0, 0.0]]
    flat = [torch.tensor([x for group in rows for x in group]) for rows in
            (scores, rewards, reference)]  # fmt: skip
    group_C = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2])
    lens = torch.ones(9, dtype=torch.int64)
    groups = GroupLogps(flat[1], lens, group_C, 3)
    found = group_numbers(
        GroupLoss(torch.tensor([1.0, 2.0, 6.0]), flat[1]),
        groups,
        GroupLabels(flat[0], None),
        GroupLogps(flat[2], lens, group_C, 3),
        None,
    )
    right = count = 0.0
    for score, reward in zip(scores, rewards, strict=True):
        for i in range(len(score)):
            for j in range(len(score)):
                if score[i] > score[j]:
                    count += 1
                    right += (reward[i] > reward[j]) + 0.5 * (reward[i] == reward[j])
    assert found["loss"] == (3.0, 3)
    assert found["accuracy"] == (pytest.approx(right / count), count)
    # Group 1 ties: neither best nor worst.
    assert found["best_reward"] == (pytest.approx((-0.05 + 3.0) / 2), 2)
    assert found["worst_reward"] == (pytest.approx((0.4 - 1.0) / 2), 2)
    assert found["reward_margin"] == (pytest.approx((-0.45 + 4.0) / 2), 2)
    assert found["chosen_logratio_nats"] == (pytest.approx((-0.05 - 1.0) / 2), 2)
    assert found["rejected_logratio_nats"] == (pytest.approx((-0.1 + 1.0) / 2), 2)
    assert found["chosen_fallen_share"] == (pytest.approx((0.5 + 1.0) / 2), 2)
