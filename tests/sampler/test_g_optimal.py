"""The design over a pool: which answers are labelled, with a certificate, and what is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import judged
from sampler_settings import settings_of

from align_cli.config.offers import NEED_SETTINGS
from align_cli.errors import AlignError, ConfigError
from align_cli.rows import Completion, Draw, Message, Prompt, Wanted
from align_cli.sampler.design_choice import first_of, pairs_leverage, pick
from align_cli.sampler.g_optimal import g_optimal
from align_cli.sampler.projection import projected

Vectors = Mapping[tuple[str, int], Sequence[float]]


def prompts(count: int) -> list[Prompt]:
    return [
        Prompt(id=f"{p:016x}", messages=(Message("user", str(p)),), gold=None, source="test")
        for p in range(count)
    ]


def asked(
    count: int, candidates: int, vectors: Vectors, text: Any = str, **changed: Any
) -> tuple[list[Draw], Wanted]:
    """(the pool that was asked for, what was then chosen of it)"""
    chosen = settings_of("g_optimal", candidates=candidates, **changed)
    own = {k: v for k, v in chosen.items() if k not in NEED_SETTINGS["features"]}
    first = g_optimal(prompts(count), [], [], {}, 0, **own)
    assert isinstance(first, list)
    pool = [_row(draw, text(f"{draw.prompt_id}/{draw.index}")) for draw in first]
    then = g_optimal(prompts(count), [], pool, vectors, 0, **own)
    assert isinstance(then, Wanted)
    return first, then


def _row(draw: Draw, text: str) -> Completion:
    plain = judged(draw.index, None, prompt_id=draw.prompt_id, text=text).completion
    ids = tuple(map(ord, text))
    return replace(plain, token_ids=ids, logps=(-1.0,) * len(ids))


def normal_vectors(count: int, candidates: int, width: int, seed: int) -> Vectors:
    draws = np.random.default_rng(seed)
    return {
        (prompt.id, c): tuple(draws.normal(size=width))
        for prompt in prompts(count) for c in range(candidates)
    }  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 5), st.integers(1, 8))
def test_the_certificate_holds_and_labels_are_the_policys_and_the_designs(
    seed: int, count: int, n: int, dimensions: int
) -> None:
    vectors = normal_vectors(count, 6, 5, seed)
    pool, chosen = asked(count, 6, vectors, n=n, dimensions=dimensions)
    assert len(pool) == 6 * count
    assert not any(draw.judge for draw in pool)
    found = chosen.metrics
    assert found["sample/design_rank"] == min(dimensions, 5)
    limit = found["sample/design_rank"] * 1.05
    assert found["sample/design_rank"] * 0.999 <= found["sample/design_max_leverage"] <= limit
    by_prompt: dict[str, list[int]] = {}
    for draw in chosen.draws:
        assert draw.judge
        by_prompt.setdefault(draw.prompt_id, []).append(draw.index)
    assert [len(set(each)) for each in by_prompt.values()] == [n] * count
    assert all(0 in each for each in by_prompt.values()), "the policy's own first draw"
    ways = ("design", "leverage", "default")
    assert sum(found[f"sample/chosen_by_{way}"] for way in ways) == count * (n - 1)


def test_the_answer_that_differs_is_labelled_and_copies_are_not() -> None:
    """Fifteen alike and one that stands out; by chance it would be labelled once in fifteen."""
    odd = {prompt.id: np.eye(3)[place] for place, prompt in enumerate(prompts(3))}
    vectors = {
        (key, c): tuple(away) if c == 11 else (0.0, 0.0, 0.0)
        for key, away in odd.items() for c in range(16)
    }  # fmt: skip

    def text(key: str) -> str:
        return "odd" if key.endswith("/11") else "same"

    _, chosen = asked(3, 16, vectors, text)
    assert [draw.index for draw in chosen.draws] == [0, 11] * 3


def test_pairs_of_the_design_leave_less_unknown_than_pairs_as_drawn() -> None:
    draws = np.random.default_rng(3)
    # A direction that one answer in thirty shows: instance RARE in features of a policy.
    vectors = {
        (prompt.id, c): (*draws.normal(size=3), 20.0 * float(draws.random() < 1 / 30))
        for prompt in prompts(30) for c in range(16)
    }  # fmt: skip
    _, chosen = asked(30, 16, vectors, dimensions=4)
    found = chosen.metrics
    assert found["sample/pairs_max_leverage"] < found["sample/on_policy_pairs_max_leverage"] / 2


def test_copies_are_one_candidate() -> None:
    first = first_of(["a", "b", "a", "c", "b"])
    assert first == [0, 1, 0, 3, 1]
    weight = np.array([0.0, 0.1, 0.0, 0.0, 0.2])
    leverage = np.array([5.0, 1.0, 5.0, 2.0, 1.0])
    draws = np.random.default_rng(0)
    picked = pick(first, weight, leverage, natural=1, n=4, draws=draws)
    assert picked == ([0, 1, 3, 2], ["design", "leverage", "default"])


def test_what_a_design_cannot_be_made_of_is_refused() -> None:
    with pytest.raises(AlignError, match="all 20 candidates have their prompt's mean features"):
        projected(np.zeros((20, 4)), "pca", 2, np.random.default_rng(0))
    own = settings_of("g_optimal", n=5, candidates=4)
    own = {k: v for k, v in own.items() if k not in NEED_SETTINGS["features"]}
    with pytest.raises(ConfigError, match=r"sampler.n 5, sampler.candidates 4: wanted natural < n"):
        g_optimal(prompts(1), [], [], {}, 0, **own)
    assert pairs_leverage(np.eye(2), np.array([[1.0, 0.0]])) is None


@pytest.mark.parametrize("projection", ["pca", "random"])
def test_a_projection_keeps_what_it_can_and_no_rounding(projection: Any) -> None:
    draws = np.random.default_rng(1)
    rows = draws.normal(size=(200, 3)) @ draws.normal(size=(3, 10))
    rows += 1e-7 * draws.normal(size=rows.shape)
    assert projected(rows, projection, 8, draws).shape == (200, 3)
    assert projected(rows, projection, 2, draws).shape == (200, 2)


def test_where_the_design_leaves_nothing_the_least_known_answer_is_labelled() -> None:
    leverage = np.array([9.0, 1.0, 3.0, 2.0])
    picked = pick(
        [0, 1, 2, 3], np.zeros(4), leverage, natural=1, n=3, draws=np.random.default_rng(0)
    )
    assert picked == ([0, 2, 3], ["leverage", "leverage"])
