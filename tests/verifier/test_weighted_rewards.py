"""Rewards whose weights follow from rounds or prompts: each against a naive loop of its formula."""

import itertools
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import judged
from torch import Tensor

from align_cli.config.compose import composed_node
from align_cli.config.signature import signature_of
from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Completion, Label, Message, Prompt
from align_cli.verifier import members, reward_by_prompt
from align_cli.verifier.hypervolume import hypervolume
from align_cli.verifier.reward_by_prompt import anchored
from align_cli.verifier.reward_by_prompt import reward_by_prompt as by_prompt
from align_cli.verifier.reward_constrained import constrained_weights, reward_constrained
from align_cli.verifier.reward_hypervolume import hypervolume_weights, reward_hypervolume

SCORES = ((0.5, -1.0, 2.0), (1.5, 0.25, -0.5), (-2.0, 3.0, 1.0))
"""Of three models, a row an answer."""
QUESTIONS = ("12+34-5", "12+34-6", "abcdefgh")


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models 0, 1, 2 give answer i the scores of row i, read from the answer's text."""

    def read(model: int, prompts: Any, completions: Sequence[Completion]) -> list[Tensor | str]:
        return [
            "not read" if row.text == "?" and model == 1 else torch.tensor([float(
                row.text.split()[model] if row.text != "?" else 0.0)])
            for row in completions
        ]  # fmt: skip

    def ready_all(paths: Sequence[str], **more: Any) -> list[Any]:
        return [SimpleNamespace(model=int(path), mean=1.0, spread=2.0) for path in paths]

    monkeypatch.setattr(members, "read_answers", read)
    monkeypatch.setattr(members, "ready_all", ready_all)


def ask(verifier: Any, count: int, earlier: Any = (), **more: Any) -> list[Label]:
    """Labels of the three answers by the first `count` models, by the settings of the yaml."""
    node = composed_node("verifier", verifier.__name__)
    known = {k: v for k, v in node.items() if k in signature_of(node["_target_"]).settings}
    known |= {"paths": tuple("012"[:count]), "standardise": False, **more}
    texts = [" ".join(map(str, row)) for row in SCORES]
    rows = [judged(i, None, text=text).completion for i, text in enumerate(texts)]
    prompts = [
        Prompt(
            id=f"{i:016x}",
            messages=(Message("user", question),),
            gold=None,
            source="t",
            stratum=f"s{i}",
        )
        for i, question in enumerate(QUESTIONS)
    ]
    past = (earlier,) if "earlier" in signature_of(node["_target_"]).needs else ()
    return list(verifier(prompts, rows, *past, "cpu", lambda line: None, **known))


def a_round(*scores: Sequence[float]) -> list[Label]:
    """Labels of a finished round, and one that was not judged."""
    labels = [
        Label(prompt_id="p", index=i, score=0.0, member_scores=tuple(each))
        for i, each in enumerate(scores)
    ]
    return [*labels, Label(prompt_id="p", index=9, verdict="error")]


ROUNDS = (
    a_round((0.0, -1.0, 4.0), (1.0, 0.0, 2.0)),
    a_round((3.0, -0.5, 1.0)),
    a_round((2.0, 1.0, 1.0), (2.0, 2.0, 0.0)),
)
MEANS = ((0.5, -0.5, 3.0), (3.0, -0.5, 1.0), (2.0, 1.5, 0.5))


@pytest.mark.parametrize("bound", ["sigmoid", "tanh"])
def test_multipliers_rise_below_the_threshold_by_dual_ascent(bound: str) -> None:
    def s(mu: float) -> float:
        return 1 / (1 + math.exp(-mu)) if bound == "sigmoid" else math.tanh(mu)

    mu = [0.3, 0.3]
    for done in range(4):
        labels = ask(
            reward_constrained, 3, ROUNDS[:done], thresholds=(0.5, 2.0), learning_rate=0.7,
            initial_multiplier=0.3, bound=bound,
        )  # fmt: skip
        weights = (2 - s(mu[0]) - s(mu[1]), s(mu[0]), s(mu[1]))
        for label, row in zip(labels, SCORES, strict=True):
            assert label.score == pytest.approx(
                sum(w * r for w, r in zip(weights, row, strict=True))
            )
            assert label.member_scores == row
            assert label.member_weights == pytest.approx(weights)
        if done < 3:
            for i, least in enumerate((0.5, 2.0)):
                slope = (s(mu[i] + 1e-6) - s(mu[i] - 1e-6)) / 2e-6
                mu[i] -= 0.7 * slope * (MEANS[done][i + 1] - least)


def test_one_constraint_is_the_source_s_mixture_and_a_reward_that_lags_gains_weight() -> None:
    weights = [
        constrained_weights([torch.tensor([0.0, v])] * 5, [1.0], 1.0, 0.0, "sigmoid")
        for v in (0.0, 1.0, 2.0)
    ]
    assert [sum(each) for each in weights] == pytest.approx([1, 1, 1])
    assert weights[0][1] > weights[1][1] == 0.5 > weights[2][1]
    assert constrained_weights([], [0.0], 1.0, -800.0, "sigmoid") == (1.0, 0.0)
    above = constrained_weights([torch.tensor([0.0, 2.0])], [1.0], 1.0, 0.0, "tanh")
    assert above[1] < 0


POINTS = st.lists(st.tuples(*[st.integers(-1, 6)] * 3), min_size=0, max_size=7)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(points=POINTS, count=st.integers(1, 3))
def test_the_hypervolume_is_the_cells_of_a_grid_that_are_covered(points: Any, count: int) -> None:
    cut = [point[:count] for point in points]
    cells = itertools.product(range(6), repeat=count)
    covered = sum(
        any(all(p > c for p, c in zip(point, cell, strict=True)) for point in cut) for cell in cells
    )
    assert hypervolume(cut, (0.0,) * count) == covered


def test_the_hypervolume_agrees_with_random_points() -> None:
    stream = torch.Generator().manual_seed(0)
    points_P3 = torch.rand(6, 3, generator=stream, dtype=torch.float64)
    throws_T3 = torch.rand(200_000, 3, generator=stream, dtype=torch.float64)
    under = (throws_T3[:, None] < points_P3).all(-1).any(-1).double().mean()
    exact = hypervolume([tuple(p.tolist()) for p in points_P3], (0.0, 0.0, 0.0))
    assert exact == pytest.approx(float(under), abs=0.005)


def test_rewards_weigh_what_a_step_of_each_adds() -> None:
    for done in range(4):
        labels = ask(reward_hypervolume, 3, ROUNDS[:done], reference=-2.0, step=0.5)
        gains = [1.0, 1.0, 1.0]
        if done:
            zero, past = (-2.0,) * 3, list(MEANS[:done])
            for k in range(3):
                more = list(past[-1])
                more[k] += 0.5
                gains[k] = hypervolume([*past, tuple(more)], zero) - hypervolume(past, zero)
        weights = [g / sum(gains) for g in gains]
        for label, row in zip(labels, SCORES, strict=True):
            assert label.member_weights == pytest.approx(weights)
            assert label.score == pytest.approx(
                sum(w * r for w, r in zip(weights, row, strict=True))
            )
    # Of one box above the reference: the product of the other sides, so the laggard weighs most.
    two = hypervolume_weights([torch.tensor([3.0, 1.0])], (0.0, 0.0), 0.1)
    assert two == pytest.approx((1 / 4, 3 / 4))
    assert hypervolume_weights([torch.tensor([-3.0, -1.0])], (0.0, 0.0), 0.1) == (0.5, 0.5)


def stratified(question: str, stratum: str) -> list[float]:
    return [1.0, 3.0] if stratum == "s1" else [2.0, 0.0]


BAD: dict[str, Any] = {"short": [1.0], "negative": [1.0, -1.0], "zero": [0.0, 0.0], "text": ["a"]}


def test_a_function_weighs_by_question_and_stratum(monkeypatch: pytest.MonkeyPatch) -> None:
    there = f"{__name__}.stratified"
    labels = ask(by_prompt, 2, weights_target=there)
    weights = [(1.0, 0.0), (0.25, 0.75), (1.0, 0.0)]
    assert [label.member_weights for label in labels] == weights
    for label, row, (a, b) in zip(labels, SCORES, weights, strict=True):
        assert label.score == pytest.approx(a * row[0] + b * row[1])
    for said in BAD.values():
        monkeypatch.setattr(
            reward_by_prompt,
            "import_module",
            lambda _, said=said: SimpleNamespace(f=lambda *a: said),
        )
        with pytest.raises(AlignError, match=r"weights_target a\.f gave .* wanted 2 numbers"):
            ask(by_prompt, 2, weights_target="a.f")


def test_the_likest_anchor_weighs_most() -> None:
    anchors = ("12+34-7", "abcdefg")
    labels = ask(by_prompt, 2, anchors=anchors, temperature=0.5)
    # "12+34-5" has five runs of three characters, four of which "12+34-7" has as well.
    likeness = [(4 / 5, 0.0), (4 / 5, 0.0), (0.0, 5 / math.sqrt(6 * 5))]
    for label, row, (a, b) in zip(labels, SCORES, likeness, strict=True):
        first = math.exp(a / 0.5) / (math.exp(a / 0.5) + math.exp(b / 0.5))
        assert label.member_weights == pytest.approx((first, 1 - first))
        assert label.score == pytest.approx(first * row[0] + (1 - first) * row[1])
    assert anchored("ab", ("ab", "cd"), 1e-3) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("verifier", "words", "told"),
    [
        (reward_constrained, {"thresholds": (1.0, 2.0)}, r"thresholds: got 2 for 2 models"),
        (by_prompt, {}, r"give one of them"),
        (by_prompt, {"anchors": ("a", "b"), "weights_target": "a.f"}, r"give one of them"),
        (by_prompt, {"anchors": ("a", "b", "c")}, r"anchors: got 3 for 2 models"),
        (reward_hypervolume, {"paths": ("0", "1", "2", "0")}, r"got 4; .* at most 3 rewards"),
    ],
)
def test_settings_that_do_not_fit_the_models_are_refused(
    verifier: Any, words: Any, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        ask(verifier, 2, **words)


def test_labels_of_another_judge_are_no_history() -> None:
    with pytest.raises(
        AlignError, match=r"labels of round 1 do not hold scores of 2 reward models"
    ):
        ask(reward_constrained, 2, [a_round((0.0, 1.0)), ROUNDS[0]], thresholds=(1.0,))


def test_what_one_model_cannot_read_is_unscored_by_all() -> None:
    row = judged(0, None, text="?").completion
    prompt = Prompt(id="0" * 16, messages=(Message("user", "?"),), gold=None, source="t")
    [label] = reward_hypervolume(
        [prompt], [row], (), "cpu", lambda line: None, paths=("0", "1"), reference=0.0, step=1.0,
        standardise=True, threshold=None, probe=None, min_probe_accuracy=None,
    )  # fmt: skip
    assert (label.score, label.verdict, label.detail) == (None, "error", "model 1: not read")
    assert label.member_scores is None


def test_standardised_by_the_probe_s_mean_and_deviation() -> None:
    [first, *_] = ask(reward_hypervolume, 2, standardise=True)
    assert first.member_scores == tuple((score - 1.0) / 2.0 for score in SCORES[0][:2])
