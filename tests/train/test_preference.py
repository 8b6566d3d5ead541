"""One round of preference optimisation against naive computation, accumulation and interruption."""

from dataclasses import replace
from itertools import chain

import pytest
import torch
from small_training import PLAN, trained, weights
from torch.nn.functional import logsigmoid

from align_cli.batches import PairLoss
from align_cli.errors import NonFinite
from align_cli.loss.pairwise import pairwise
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import sequence_logps
from align_cli.policy.scratch import scratch
from align_cli.rows import Message
from align_cli.train.pair_batches import PairExample, PairTask
from align_cli.train.steps import batch_order
from align_cli.training_rows import PairReference


def dpo(pairs, ref_pairs, **_):
    return pairwise(pairs, ref_pairs, beta=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("policy")
    scratch(place, 3, tokenizer="characters", layers=2, width=16, heads=2, mlp_width=32, window=64)
    return place


@pytest.fixture
def model(folder):
    return LanguageModel.load(folder, device="cpu")


@pytest.fixture
def task(model):
    texts = ["7+8", "1+1+1", "20-3", "9+9-4", "3", "55-6", "8+0"]
    prompts = [model.encode_prompt((Message("user", text),)) for text in texts]
    chosen = [model.encode_response(f"{text}={n}#{n}") for n, text in enumerate(texts)]
    rejected = [model.encode_response(f"{n}#{text}=" * (1 + n % 3)) for n, text in enumerate(texts)]
    examples = [
        PairExample(
            prompt_id=f"p{n}", round=0, chosen=0, rejected=1, margin=1.0, chosen_score=1.0,
            rejected_score=0.0, prompt_ids=p, chosen_ids=c, rejected_ids=r,
        )
        for n, (p, c, r) in enumerate(zip(prompts, chosen, rejected, strict=True))
    ]  # fmt: skip
    with torch.no_grad():
        logps = [sequence_logps(model.network, prompts, side) for side in (chosen, rejected)]
    references = [
        PairReference(
            prompt_id=e.prompt_id, round=0, chosen=0, rejected=1,
            chosen_logp=float(logps[0][n]), rejected_logp=float(logps[1][n]),
        )
        for n, e in enumerate(examples)
    ]  # fmt: skip
    return PairTask(examples, {"ref_pairs": references}, dpo, PLAN, seed=5, round_number=0)


def test_every_epoch_visits_every_pair_once():
    order = batch_order(10, replace(PLAN, epochs=3, batch_size=4), seed=1, round_number=2)
    assert [len(batch) for batch in order] == [4, 4, 2] * 3
    epochs = [list(chain(*order[at : at + 3])) for at in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert order == batch_order(10, replace(PLAN, epochs=3), seed=1, round_number=2)
    assert order != batch_order(10, replace(PLAN, epochs=3), seed=1, round_number=3)


def test_the_first_step_is_at_the_reference(model, task, tmp_path):
    first = trained(model, task, tmp_path)[0]
    assert first["train/loss"] == pytest.approx(0.693147, abs=1e-5)
    assert first["train/reward_margin"] == pytest.approx(0, abs=1e-4)
    assert first["train/chosen_logratio_nats"] == pytest.approx(0, abs=1e-4)
    assert first["train/learning_rate"] == 1e-3


def test_one_step_is_the_naive_gradient_step(model, folder, task, tmp_path):
    """A pair at a time, log-probs by plain softmax, torch's own clipping and AdamW."""
    task = replace(task, plan=replace(PLAN, epochs=1, batch_size=8, micro_batch_size=8))
    trained(model, task, tmp_path)
    naive = LanguageModel.load(folder, device="cpu").network

    def logp(prompt, answer):
        ids = torch.tensor([[*prompt, *answer]])
        table = torch.log_softmax(naive(ids).logits[0], dim=-1)
        steps = range(len(prompt), ids.shape[1])
        return sum(table[t - 1, ids[0, t]] for t in steps)

    losses = []
    for example, ref in zip(task.examples, task.known["ref_pairs"], strict=True):
        margin = logp(example.prompt_ids, example.chosen_ids) - ref.chosen_logp
        margin = margin - logp(example.prompt_ids, example.rejected_ids) + ref.rejected_logp
        losses.append(-logsigmoid(0.5 * margin))
    torch.stack(losses).mean().backward()
    torch.nn.utils.clip_grad_norm_(naive.parameters(), 1.0)
    torch.optim.AdamW(naive.parameters(), lr=1e-3, weight_decay=0.0).step()
    for name, parameter in naive.named_parameters():
        # AdamW's first step is the gradient's sign, so weights whose gradient is noise may differ.
        near = (weights(model)[name] - parameter).abs() < 1e-5
        assert near.float().mean() > 0.99, name


def test_accumulation_is_one_batch(folder, task, tmp_path):
    found = []
    for micro in (1, 2, 4):
        model = LanguageModel.load(folder, device="cpu")
        plan = replace(PLAN, micro_batch_size=micro)
        steps = trained(model, replace(task, plan=plan), tmp_path / str(micro))
        found.append([steps[n]["train/loss"] for n in sorted(steps)])
    assert found[0] == pytest.approx(found[2], abs=1e-5)
    assert found[1] == pytest.approx(found[2], abs=1e-5)


@pytest.mark.parametrize("stop_after", [0, 1, 2, 3])
def test_killed_and_resumed_is_bitwise_the_straight_run(folder, task, tmp_path, stop_after):
    straight = LanguageModel.load(folder, device="cpu")
    whole = trained(straight, task, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        trained(
            LanguageModel.load(folder, device="cpu"), task, tmp_path / "w", stop_after=stop_after
        )
    model = LanguageModel.load(folder, device="cpu")
    rest = trained(model, task, tmp_path / "w")
    # A checkpoint lies after every second step; at most those two are done again.
    assert min(rest) == (stop_after // 2) * 2 if stop_after % 2 == 0 else min(rest) <= stop_after
    assert {step: whole[step] for step in rest} == rest
    assert all(torch.equal(a, weights(model)[name]) for name, a in weights(straight).items())


def test_training_separates_the_pairs(model, task, tmp_path):
    steps = trained(model, replace(task, plan=replace(PLAN, epochs=20)), tmp_path)
    assert steps[max(steps)]["train/loss"] < 0.5 * steps[0]["train/loss"]
    assert steps[max(steps)]["train/accuracy"] == 1.0


def test_a_loss_without_reference_gets_none(model, task, tmp_path):
    def hinge(pairs, ref_pairs, **_):
        assert ref_pairs is None
        reward = pairs.chosen_B - pairs.rejected_B
        return PairLoss(torch.relu(1 - reward), pairs.chosen_B.detach(), pairs.rejected_B.detach())

    steps = trained(model, replace(task, known={}, loss=hinge), tmp_path)
    assert "train/chosen_logratio_nats" not in steps[0]


def test_a_loss_that_is_not_finite_stops_before_any_weight_moves(model, task, tmp_path):
    def broken(pairs, ref_pairs, **_):
        loss_B = (pairs.chosen_B - ref_pairs.chosen_B) * torch.tensor(float("nan"))
        return PairLoss(loss_B, loss_B.detach(), loss_B.detach())

    before = weights(model)
    with pytest.raises(NonFinite, match=r"round 0, step 0.*prompts p\d"):
        trained(model, replace(task, loss=broken), tmp_path)
    assert all(torch.equal(before[name], p) for name, p in weights(model).items())
