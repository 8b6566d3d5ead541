"""Answers drawn while a policy trains: by name, counted, scored under both policies."""

from dataclasses import replace

import pytest
import small_training
import torch

from align_cli.engine.native import native
from align_cli.loss.online_kl import online_kl
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import sequence_logps
from align_cli.policy.scratch import scratch
from align_cli.rows import Message
from align_cli.seeds import derive
from align_cli.store.cost import Cost
from align_cli.train.fresh import Fresh
from align_cli.train.pair_batches import PairExample, PairTask
from align_cli.train.steps import numbers_after, train

PLAN = replace(
    small_training.PLAN, learning_rate=5e-3, curve="constant", batch_size=3, micro_batch_size=3,
    checkpoint_every=1,
)  # fmt: skip
WANTS = frozenset({"pairs", "ref_pairs", "fresh", "ref_fresh"})


def engine(**offer):
    return native(**offer, rows=8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    places = [tmp_path_factory.mktemp("policy") for _ in range(2)]
    for seed, place in enumerate(places):
        scratch(place, seed, tokenizer="characters", layers=2, width=16, heads=2, mlp_width=32,
                window=64)  # fmt: skip
    return places


@pytest.fixture
def models(folders):
    return [LanguageModel.load(folder, device="cpu") for folder in folders]


def leashed(pairs, ref_pairs, fresh, ref_fresh, **_):
    return online_kl(pairs, pairs, fresh, ref_fresh, beta=0.1, kl_weight=1.0)


def task_of(models, loss=leashed, engine=engine):
    model, reference = models
    texts = ["7+8", "1+1+1", "7+8", "9-4"]
    pairs = []
    for text in texts:
        messages = (Message("user", text),)
        pairs.append(
            PairExample(
                prompt_id=text, round=0, chosen=0, rejected=1, margin=1.0, chosen_score=1.0,
                rejected_score=0.0, prompt_ids=model.encode_prompt(messages), messages=messages,
                chosen_ids=model.encode_response("1"), rejected_ids=model.encode_response("2"),
            )
        )  # fmt: skip
    fresh = Fresh(engine, samples=3, max_new_tokens=6, seed=5, round_number=2)
    return PairTask(pairs, {}, loss, PLAN, 5, 2, WANTS, reference, fresh)


def offered(task, model, places, step):
    seen = {}

    def watch(**offer):
        seen.update(offer)
        return leashed(**offer)

    cost = Cost()
    out = replace(task, loss=watch).losses(model, places, cost, step)
    return seen, cost, out


def test_answers_have_streams_of_their_own_and_are_scored_under_both(models):
    model, reference = models
    asked = []

    def watched(**offer):
        made = engine(**offer)
        asked.append((offer, made))
        return made

    task = task_of(models, engine=watched)
    offer, _, _ = offered(task, model, [2, 1, 0], 7)
    ((request, made),) = asked
    prompts = ["7+8", "1+1+1"]
    keys = [derive(5, "fresh", 2, 7, prompt, j) for prompt in prompts for j in range(3)]
    assert request["keys"] == keys
    assert [draw.prompt_id for draw in request["draws"]] == [p for p in prompts for _ in range(3)]
    rules = {(d.decoding.temperature, d.decoding.top_p, d.decoding.top_k, d.decoding.max_new_tokens)
             for d in request["draws"]}  # fmt: skip
    assert rules == {(1.0, 1.0, 0, 6)}
    fresh, ref_fresh = offer["fresh"], offer["ref_fresh"]
    assert fresh.group_C.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    answers = [made[at].token_ids for at in (0, 1, 2, 3, 4, 5, 0, 1, 2)]
    contexts = [task.examples[place].prompt_ids for place in (2, 1, 0) for _ in range(3)]
    assert fresh.len_C.tolist() == [len(answer) for answer in answers]
    for groups, network in ((fresh, model.network), (ref_fresh, reference.network)):
        wanted = sequence_logps(network, contexts, answers)
        torch.testing.assert_close(groups.logp_C, wanted, rtol=1e-5, atol=1e-5)
    drawn = torch.tensor([sum(made[at].logps) for at in range(6)])
    torch.testing.assert_close(fresh.logp_C[:6], drawn, rtol=1e-4, atol=1e-4)
    assert fresh.logp_C.requires_grad
    assert not ref_fresh.logp_C.requires_grad


def test_another_step_draws_other_answers_and_the_same_step_the_same(models):
    model, _ = models
    task = task_of(models)
    first, again, other, after = (
        offered(task, model, [0, 1], step)[0]["fresh"].logp_C.detach() for step in (3, 3, 4, None)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, after)


def test_what_is_drawn_and_trained_on_is_counted(models):
    model, _ = models
    task = task_of(models)
    offer, cost, out = offered(task, model, [0, 1], 0)
    assert cost.generated_tokens == int(offer["fresh"].len_C.sum())
    lengths = [len(task.examples[p].prompt_ids) for p in (0, 1)]
    assert cost.prompt_tokens == sum(lengths)
    trained = cost.generated_tokens + 3 * sum(lengths)
    assert cost.trained_tokens == trained
    assert cost.backward_flops > 0
    assert {"fresh_kl_nats", "fresh_length_tokens"} <= set(out.numbers)
    idle = Cost()
    numbers_after(model, task, idle)
    assert idle.trained_tokens == 0
    assert idle.generated_tokens > 0


def run(folder, task, work, stop_after=None):
    model = LanguageModel.load(folder, device="cpu")
    told = []

    class Stopped(Exception):
        pass

    def on_step(step, metrics):
        told.append(metrics)
        if step == stop_after:
            raise Stopped

    try:
        train(model, task, work=work, on_start=lambda *_: None, on_step=on_step)
    except Stopped:
        return None, told
    return [p.detach().clone() for p in model.network.parameters()], told


def test_killed_and_resumed_is_bitwise_the_straight_run(folders, models, tmp_path):
    task = task_of(models)
    straight, told = run(folders[0], task, tmp_path / "straight")
    run(folders[0], task, tmp_path / "cut", stop_after=2)
    resumed, later = run(folders[0], task, tmp_path / "cut")
    assert len(told) == 4
    assert later == told[-len(later) :]
    assert len(later) < len(told)
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


def test_the_policy_s_gradient_is_that_of_its_kl(models):
    """Answers of one token, whose KL can be summed over the vocabulary."""

    def leash_alone(pairs, fresh, ref_fresh, **_):
        return online_kl(pairs, pairs, fresh, ref_fresh, beta=1e-9, kl_weight=1.0)

    model, reference = models
    with torch.no_grad():
        # A reference with opinions: a scratch policy says everything alike.
        reference.network.get_output_embeddings().weight.mul_(8)
    task = task_of(models, loss=leash_alone)
    task = replace(task, fresh=replace(task.fresh, samples=4000, max_new_tokens=1))
    out = task.losses(model, [0], Cost(), 0)
    parameters = list(model.network.parameters())
    found = torch.autograd.grad(out.loss_N.sum(), parameters)
    ids = torch.tensor([task.examples[0].prompt_ids])
    log_policy, log_reference = (
        each.network(input_ids=ids).logits[0, -1].log_softmax(-1) for each in models
    )
    kl = (log_policy.exp() * (log_policy - log_reference)).sum()
    wanted = torch.autograd.grad(kl, parameters)
    one, other = (torch.cat([each.flatten() for each in grads]) for grads in (found, wanted))
    assert torch.cosine_similarity(one, other, 0) > 0.97
    assert float(one.norm() / other.norm()) == pytest.approx(1, abs=0.1)
    assert out.numbers["fresh_kl_nats"][0] == pytest.approx(float(kl.detach()), rel=0.05)
