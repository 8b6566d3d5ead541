"""What training hands to losses that look at single tokens, against naive computation."""

from dataclasses import replace
from itertools import chain

import pytest
import small_training
import torch

from align_cli.loss.pairwise import pairwise
from align_cli.loss.sequential_kl import sequential_kl
from align_cli.loss.token_weighted import token_weighted
from align_cli.model.language_model import LanguageModel
from align_cli.model.scoring import score_sequences, score_tokens
from align_cli.policy.scratch import scratch
from align_cli.rows import Message
from align_cli.store.cost import Cost
from align_cli.train.pair_batches import PairExample, PairTask
from align_cli.train.steps import train
from align_cli.train.tokens import shared_length
from align_cli.training_rows import PairReference, PairTokenReference

ASKED = frozenset({"tokens", "ref_tokens", "token_kls", "ref_activations"})
PLAN = replace(small_training.PLAN, batch_size=3, micro_batch_size=3, checkpoint_every=1)


def policy(folder, seed):
    scratch(folder, seed, tokenizer="characters", layers=2, width=16, heads=2, mlp_width=32,
            window=64)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return [policy(tmp_path_factory.mktemp("policy"), seed) for seed in (3, 4)]


@pytest.fixture
def models(folders):
    return [LanguageModel.load(folder, device="cpu") for folder in folders]


def examples(model):
    texts = ["7+8", "1+1+1", "20-3", "9+9-4", "3"]
    sides = [("7+8=15#15", "7+8=16#16"), ("3#3", "1+1=2;2+1=3#3"), ("17#17", "8"), ("1", "14;14"),
             ("33333333", "4")]  # fmt: skip
    return [
        PairExample(
            prompt_id=f"p{n}", round=0, chosen=0, rejected=1, margin=1.0, chosen_score=1.0,
            rejected_score=0.0, prompt_ids=model.encode_prompt((Message("user", text),)),
            chosen_ids=model.encode_response(c), rejected_ids=model.encode_response(r),
        )
        for n, (text, (c, r)) in enumerate(zip(texts, sides, strict=True))
    ]  # fmt: skip


def task_of(policy, reference, loss, *, wants=ASKED, asked=True):
    pairs = examples(policy)
    prompts = [e.prompt_ids for e in pairs]
    chosen, rejected = [e.chosen_ids for e in pairs], [e.rejected_ids for e in pairs]
    cost = Cost()
    key = {"round": 0, "chosen": 0, "rejected": 1}
    by_token = [score_tokens(reference, prompts, side, cost) for side in (chosen, rejected)]
    whole = [score_sequences(reference, prompts, side, cost) for side in (chosen, rejected)]
    known = {
        "ref_tokens": [
            PairTokenReference(prompt_id=e.prompt_id, chosen_logps=c, rejected_logps=r, **key)
            for e, c, r in zip(pairs, *by_token, strict=True)
        ],
        "ref_pairs": [
            PairReference(prompt_id=e.prompt_id, chosen_logp=c, rejected_logp=r, **key)
            for e, c, r in zip(pairs, *whole, strict=True)
        ],
    }
    return PairTask(pairs, known, loss, PLAN, 5, 0, wants, reference if asked else None)


def offered(task, model, places):
    """What a loss would be given."""
    seen = {}

    def watch(**offer):
        seen.update(offer)
        return pairwise(offer["pairs"], offer["ref_pairs"], beta=0.1)

    replace(task, loss=watch).losses(model, places, Cost())
    return seen


def naive(model, example, side):
    """Log-probs, log-distributions and hidden states at every token, one sequence at a time."""
    ids = torch.tensor([[*example.prompt_ids, *side]])
    start = len(example.prompt_ids)
    with torch.no_grad():
        out = model.network(input_ids=ids, output_hidden_states=True)
    logps = out.logits[0].log_softmax(-1)[start - 1 : -1]
    means = torch.stack([state[0, start - 1 : -1].mean(-1) for state in out.hidden_states], -1)
    return logps.gather(-1, torch.tensor(side)[:, None])[:, 0], logps, means


def test_every_token_is_what_one_sequence_alone_gives(models):
    model, reference = models
    task = task_of(model, reference, None)
    offer = offered(task, model, [4, 1, 3])
    for row, place in enumerate([4, 1, 3]):
        example = task.examples[place]
        for name, side in (("chosen", example.chosen_ids), ("rejected", example.rejected_ids)):
            count = len(side)
            mine, log_policy, _ = naive(model, example, side)
            theirs, log_reference, active = naive(reference, example, side)
            kl = (log_reference.exp() * (log_reference - log_policy)).sum(-1)
            found = {
                "tokens": (f"{name}_BT", mine),
                "ref_tokens": (f"{name}_BT", theirs),
                "token_kls": (f"{name}_BT", kl),
                "ref_activations": (f"{name}_BTL", active),
            }
            for need, (field, wanted) in found.items():
                laid = getattr(offer[need], field)[row]
                torch.testing.assert_close(laid[:count], wanted, rtol=1e-5, atol=1e-5)
                assert (laid[count:] == 0).all(), need
            mask = getattr(offer["tokens"], f"{name}_mask_BT")[row]
            assert mask.tolist() == [place < count for place in range(len(mask))]
        shared = shared_length(example.chosen_ids, example.rejected_ids)
        assert offer["tokens"].shared_B[row] == shared
    assert active.shape[-1] == 3  # the embedding and two layers
    assert not offer["ref_activations"].chosen_BTL.requires_grad


def test_the_kl_gradient_is_the_policy_s(models):
    model, reference = models
    offer = offered(task_of(model, reference, None), model, [0, 1])
    loss = offer["token_kls"].chosen_BT.sum()
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.network.parameters())
    assert all(p.grad is None for p in reference.network.parameters())
    assert loss > 0


def test_a_policy_has_no_kl_to_itself(models):
    model, _ = models
    offer = offered(task_of(model, model, None), model, [0, 1, 2])
    torch.testing.assert_close(
        offer["token_kls"].chosen_BT, torch.zeros_like(offer["token_kls"].chosen_BT), atol=1e-6,
        rtol=0,
    )  # fmt: skip


def test_shared_beginnings():
    assert shared_length((1, 2, 3), (1, 2, 4, 5)) == 2
    assert shared_length((1, 2), (1, 2, 3)) == 2
    assert shared_length((9,), (1,)) == 0


def test_what_is_not_asked_for_is_not_there(models):
    model, reference = models
    offer = offered(task_of(model, reference, None, wants=frozenset({"pairs"})), model, [0])
    assert all(offer[need] is None for need in ASKED)
    offer = offered(task_of(model, reference, None, asked=False), model, [0])
    assert offer["token_kls"] is None
    assert offer["ref_activations"] is None
    assert offer["tokens"] is not None


def spent(model, reference, places, *, asked):
    cost = Cost()
    task = task_of(model, reference, lambda pairs, ref_pairs, **_: pairwise(pairs, ref_pairs,
                   beta=0.1), asked=asked)  # fmt: skip
    numbers = task.losses(model, places, cost).numbers
    return cost.forward_flops, numbers


def test_the_reference_s_pass_is_counted(models):
    model, reference = models
    without, numbers = spent(model, reference, [0, 1, 2], asked=False)
    with_reference, more = spent(model, reference, [0, 1, 2], asked=True)
    assert with_reference == 2 * without
    assert set(more) - set(numbers) == {"chosen_token_kl_nats", "rejected_token_kl_nats"}


def run(folder, task, work, stop_after=None):
    model = LanguageModel.load(folder, device="cpu")

    class Stopped(Exception):
        pass

    def on_step(step, _):
        if step == stop_after:
            raise Stopped

    try:
        train(model, task, work=work, on_start=lambda *_: None, on_step=on_step)
    except Stopped:
        return None
    return list(chain(p.detach().clone() for p in model.network.parameters()))


def tdpo(tokens, ref_tokens, token_kls, **_):
    return sequential_kl(tokens, ref_tokens, token_kls, beta=0.5, kl_weight=0.5,
                         kl_gradient="rejected")  # fmt: skip


def test_killed_and_resumed_is_bitwise_the_straight_run(folders, models, tmp_path):
    task = task_of(*models, tdpo)
    straight = run(folders[0], task, tmp_path / "straight")
    assert run(folders[0], task, tmp_path / "cut", stop_after=2) is None
    resumed = run(folders[0], task, tmp_path / "cut")
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


def test_whole_weights_train_as_dpo_does(folders, models, tmp_path):
    def by_token(tokens, ref_tokens, **_):
        return token_weighted(tokens, ref_tokens, beta=0.5, weighting="all")

    def whole(pairs, ref_pairs, **_):
        return pairwise(pairs, ref_pairs, beta=0.5)

    one, other = (
        run(folders[0], task_of(*models, loss), tmp_path / loss.__name__)
        for loss in (by_token, whole)
    )
    for mine, wanted in zip(one, other, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)
