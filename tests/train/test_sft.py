"""Supervised training: the loss that is written down, seeded batches, resumed equals straight."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from align_cli.errors import ConfigError, NothingToTrain
from align_cli.model.language_model import LanguageModel
from align_cli.policy.scratch import scratch
from align_cli.rows import Demonstration, Message
from align_cli.train.order import BUCKET, batches
from align_cli.train.sft import SftPlan, SftStep, sft_plan, train_sft

PLAN = SftPlan(
    steps=7,
    batch=4,
    micro_batch=4,
    learning_rate=0.01,
    curve="linear",
    warmup_share=0.2,
    weight_decay=0.1,
    clip_norm=1.0,
    adam_beta1=0.9,
    adam_beta2=0.99,
    adam_eps=1e-8,
    checkpoint_every=2,
)


def demonstration(question: str, answer: str) -> Demonstration:
    return Demonstration(
        id=question, messages=(Message("user", question),), response=answer, source="test"
    )


ROWS = [demonstration(f"{n}+{n}", "=" + "ab" * (1 + n % 3)) for n in range(10)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads spend more time waiting for one another than computing at this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], LanguageModel]:
    shape = {"layers": 1, "width": 8, "heads": 2, "mlp_width": 8, "window": 24}
    scratch(tmp_path / "policy", 0, tokenizer="characters", **shape)  # type: ignore[arg-type]
    return lambda: LanguageModel.load(tmp_path / "policy", device="cpu")


def train(
    model: LanguageModel, work: Path, plan: SftPlan = PLAN, *, until: int | None = None
) -> list[SftStep]:
    steps: list[SftStep] = []

    def on_step(step: SftStep) -> None:
        steps.append(step)
        if step.done == until:
            raise KeyboardInterrupt

    train_sft(model, ROWS, plan, 0, work=work, on_start=lambda done: None, on_step=on_step)
    return steps


def bits(model: LanguageModel) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in model.network.parameters()]


def test_the_loss_is_the_mean_over_response_tokens_only(
    fresh: Callable[[], LanguageModel], tmp_path: Path
) -> None:
    model = fresh()
    [order] = islice(batches([0] * len(ROWS), batch=10, seed=0), 1)
    total, tokens = 0.0, 0
    # A batch of all ten: the order does not matter. One sequence at a time, written out.
    for row in [ROWS[number] for number in order]:
        prompt = list(model.encode_prompt(row.messages))
        response = list(model.encode_response(row.response))
        assert response[-1] == model.tokenizer.convert_tokens_to_ids("<end>")
        with torch.no_grad():
            logits = model.network(torch.tensor([prompt + response])).logits[0]
        for place, token in enumerate(response, start=len(prompt)):
            total -= float(logits[place - 1].log_softmax(-1)[token])
            tokens += 1
    [step] = train(model, tmp_path / "work", replace(PLAN, steps=1, batch=10, micro_batch=10))
    assert step.tokens == tokens
    assert step.loss == pytest.approx(total / tokens, rel=1e-5)


def test_micro_batches_change_memory_and_not_mathematics(
    fresh: Callable[[], LanguageModel], tmp_path: Path
) -> None:
    whole, parts = fresh(), fresh()
    one = train(whole, tmp_path / "a")
    other = train(parts, tmp_path / "b", replace(PLAN, micro_batch=1))
    for a, b in zip(one, other, strict=True):
        assert (a.done, a.learning_rate, a.tokens) == (b.done, b.learning_rate, b.tokens)
        assert a.loss == pytest.approx(b.loss, rel=1e-4)
        assert a.grad_norm == pytest.approx(b.grad_norm, rel=1e-3)
    for p, q in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("killed_after", [1, 2, 3, 6, 7])
def test_killed_and_started_again_it_ends_with_the_same_bytes(
    fresh: Callable[[], LanguageModel], tmp_path: Path, killed_after: int
) -> None:
    straight = fresh()
    all_steps = train(straight, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), tmp_path / "work", until=killed_after)
    resumed = fresh()
    steps = train(resumed, tmp_path / "work")
    assert bits(resumed) == bits(straight)
    # Killed while it tells of a step, which is then not in the checkpoint.
    assert steps == all_steps[(killed_after - 1) // 2 * 2 :]


def test_training_learns(fresh: Callable[[], LanguageModel], tmp_path: Path) -> None:
    steps = train(fresh(), tmp_path, replace(PLAN, steps=80, learning_rate=0.03))
    assert steps[0].loss == pytest.approx(torch.tensor(101.0).log().item(), abs=0.1)
    assert steps[-1].loss < 0.8
    rates = [step.learning_rate for step in steps]
    assert rates[0] == 0.0
    assert max(rates) == pytest.approx(0.03)
    assert rates[-1] < 0.001


def test_what_cannot_be_trained_is_refused(
    fresh: Callable[[], LanguageModel], tmp_path: Path
) -> None:
    def refused(rows: list[Demonstration]) -> None:
        train_sft(
            fresh(), rows, PLAN, 0, work=tmp_path, on_start=lambda n: None, on_step=lambda s: None
        )

    with pytest.raises(NothingToTrain):
        refused([])
    with pytest.raises(ConfigError, match=r"1 of 11 demonstrations are longer .* 24 tokens"):
        refused([*ROWS, demonstration("1+1", "=" * 40)])
    settings = {name: getattr(PLAN, name) for name in PLAN.__slots__}
    assert sft_plan(**settings) == PLAN
    with pytest.raises(ConfigError, match=r"train\.batch 4 is not a multiple"):
        sft_plan(**{**settings, "micro_batch": 3})


@given(
    count=st.integers(1, 50),
    batch=st.integers(1, 9),
    seed=st.integers(0, 9),
    start=st.integers(0, 60),
)
def test_batches_are_the_same_wherever_they_are_started(
    count: int, batch: int, seed: int, start: int
) -> None:
    lengths = [7 * n % 5 for n in range(count)]
    whole = list(islice(batches(lengths, batch=batch, seed=seed), start + 5))
    tail = list(islice(batches(lengths, batch=batch, seed=seed, start=start), 5))
    assert tail == whole[start:]
    assert all(len(numbers) == batch for numbers in whole)


def test_every_example_comes_once_an_epoch_and_lengths_are_near() -> None:
    lengths = list(range(64))
    stream = batches(lengths, batch=4, seed=1)
    epochs = [list(islice(stream, BUCKET)) for _ in range(3)]
    for epoch in epochs:
        assert Counter(n for numbers in epoch for n in numbers) == Counter(range(64))
        assert all(max(numbers) - min(numbers) == 3 for numbers in epoch)
        # Long batches are not all at one end.
        assert [min(numbers) for numbers in epoch] != sorted(min(n) for n in epoch)
    assert epochs[0] != epochs[1]
