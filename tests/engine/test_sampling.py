"""Logits -> tokens: against the library's filters, exact sums and the edges of [0, 1)."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TopKLogitsWarper, TopPLogitsWarper

from align_cli.engine import sampling
from align_cli.engine.sampling import Rule, invert, sample, weights

PLAIN = Rule(temperature=1.0, top_p=1.0, top_k=0)
LARGEST = 1 - 2.0**-53


def logits(rows, vocabulary, spread=3.0):
    return torch.from_numpy(np.random.default_rng(3).normal(0, spread, (rows, vocabulary))).float()


@pytest.mark.parametrize("top_k", [0, 1, 7, 50, 80])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5, 0.01])
def test_cuts_keep_what_the_library_keeps(top_k, top_p):
    logits_BV = logits(20, 50)
    rule = Rule(temperature=0.7, top_p=top_p, top_k=top_k)
    scores_BV = logits_BV / 0.7
    if top_k:
        scores_BV = TopKLogitsWarper(top_k)(None, scores_BV)
    if top_p < 1:
        scores_BV = TopPLogitsWarper(top_p)(None, scores_BV)
    made_BV = weights(logits_BV, rule)
    torch.testing.assert_close(made_BV / made_BV.sum(-1, keepdim=True), scores_BV.softmax(-1))


def test_the_first_of_equal_logits_is_kept_by_top_p():
    made = weights(torch.zeros(1, 4), Rule(temperature=1.0, top_p=0.5, top_k=0))
    assert made.tolist() == [[1.0, 1.0, 0.0, 0.0]]


@given(u=st.floats(0, LARGEST), counts=st.lists(st.integers(0, 4), min_size=1).filter(any))
def test_the_token_is_the_first_whose_cumulative_weight_exceeds_u(u, counts):
    token = int(invert(torch.tensor([counts]).float(), torch.tensor([u], dtype=torch.float64)))
    assert counts[token] > 0
    total, before = sum(counts), sum(counts[:token])
    # The product u * total is rounded once.
    assert Fraction(u * total) >= before
    assert Fraction(u * total) < before + counts[token]


@pytest.mark.parametrize("u", [0.0, LARGEST])
def test_the_ends_of_the_unit_interval_find_a_token_of_some_weight(u):
    weights_BV = torch.tensor([[0.0, 0.3, 0.1, 0.0], [0.0, 0.0, 1e-30, 0.0]])
    tokens = invert(weights_BV, torch.full((2,), u, dtype=torch.float64)).tolist()
    assert tokens == ([1, 2] if u == 0 else [2, 2])


def test_rare_tokens_of_a_large_vocabulary_keep_their_place():
    """In float32 sums, 119 of 120 tokens of probability 1e-9 would have none."""
    weights_V = torch.full((50_001,), 1e-9)
    weights_V[0] = 1.0
    number_N = torch.arange(0, 50_000, 113)
    middle_N = (1 + 1e-9 * (number_N.double() + 0.5)) / (1 + 50_000 * 1e-9)
    tokens_N = invert(weights_V.expand(len(middle_N), -1), middle_N)
    assert torch.equal(tokens_N, number_N + 1)


def test_slabs_change_nothing(monkeypatch):
    logits_BV, uniforms_B = logits(33, 40), torch.rand(33, dtype=torch.float64)
    whole = sample(logits_BV, uniforms_B, PLAIN)
    monkeypatch.setattr(sampling, "SLAB", 120)
    assert all(map(torch.equal, sample(logits_BV, uniforms_B, PLAIN), whole))


def test_log_probs_are_the_policys_whatever_the_rule():
    logits_BV, uniforms_B = logits(50, 30), torch.rand(50, dtype=torch.float64)
    for rule in (PLAIN, Rule(0.3, 1.0, 0), Rule(2.0, 0.5, 3), Rule(0.0, 1.0, 0)):
        token_B, logp_B = sample(logits_BV.bfloat16(), uniforms_B, rule)
        wanted_BV = logits_BV.bfloat16().float().log_softmax(-1)
        torch.testing.assert_close(logp_B, wanted_BV.gather(1, token_B[:, None])[:, 0])


def test_greedy_ignores_the_uniform_and_takes_the_largest():
    logits_BV = logits(50, 30)
    for u in (0.0, LARGEST):
        uniforms_B = torch.full((50,), u, dtype=torch.float64)
        token_B, _ = sample(logits_BV, uniforms_B, Rule(0.0, 1.0, 0))
        assert torch.equal(token_B, logits_BV.argmax(-1))


def test_temperature_divides_the_logits_even_next_to_zero():
    logits_BV, uniforms_B = logits(50, 30), torch.rand(50, dtype=torch.float64)
    torch.testing.assert_close(weights(logits_BV, Rule(0.5, 1.0, 0)), weights(2 * logits_BV, PLAIN))
    cold_B, _ = sample(logits_BV, uniforms_B, Rule(1e-30, 1.0, 0))
    assert torch.equal(cold_B, logits_BV.argmax(-1))
