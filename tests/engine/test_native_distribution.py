"""Answers are draws from the policy: frequencies against its exact probabilities."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from align_cli.engine.native import native
from align_cli.rows import Decoding, Draw, Message
from align_cli.seeds import derive


def chi_square_p(observed, expected):
    """p-value of counts against expected counts; cells expected below 5 are pooled."""
    rare = expected < 5
    if rare.any():
        observed = np.append(observed[~rare], observed[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    return stats.chisquare(observed, expected).pvalue


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_first_and_second_tokens_come_as_often_as_the_model_says(temperature, tiny, prompt, quiet):
    model, ids, count = tiny("llama", torch.float32), prompt(0), 6000
    how = Decoding(max_new_tokens=2, temperature=temperature)
    ask = (Message("user", "0"),)
    draws = [Draw(prompt_id="p", index=j, messages=ask, decoding=how) for j in range(count)]
    keys = [derive(1, "draw", "p", j) for j in range(count)]
    made = native(draws, [ids] * count, keys, model, quiet, rows=3000)

    def probabilities(*tokens):
        with torch.inference_mode():
            logits = model.network(torch.tensor([[*ids, *tokens]])).logits[0, -1]
        return (logits.double() / temperature).softmax(-1).numpy()

    def counts(tokens):
        found = Counter(tokens)
        return np.array([found[token] for token in range(model.network.config.vocab_size)])

    firsts = counts(out.token_ids[0] for out in made)
    assert chi_square_p(firsts, count * probabilities()) > 1e-4
    for first in np.argsort(-firsts)[:3]:
        if first in model.stop_ids:
            continue
        seconds = counts(out.token_ids[1] for out in made if out.token_ids[0] == first)
        assert chi_square_p(seconds, seconds.sum() * probabilities(first)) > 1e-4


def test_neighbouring_tokens_of_an_answer_are_drawn_independently(tiny, prompt, quiet):
    """The uniforms read back from the tokens (one each, placed at random in its interval)."""
    model, count = tiny("llama", torch.float32), 800
    how = Decoding(max_new_tokens=6)
    ask = (Message("user", "0"),)
    draws = [Draw(prompt_id="p", index=j, messages=ask, decoding=how) for j in range(count)]
    keys = [derive(2, "draw", "p", j) for j in range(count)]
    made = [
        out
        for out in native(draws, [prompt(1)] * count, keys, model, quiet, rows=count)
        if len(out.token_ids) == 6
    ]
    ids = torch.tensor([[*out.prompt_token_ids, *out.token_ids] for out in made])
    with torch.inference_mode():
        p_BTV = model.network(ids).logits[:, -7:-1].double().softmax(-1).numpy()
    tokens_BT1 = ids[:, -6:, None].numpy()
    upper_BT = np.take_along_axis(p_BTV.cumsum(-1), tokens_BT1, -1)[..., 0]
    width_BT = np.take_along_axis(p_BTV, tokens_BT1, -1)[..., 0]
    u_BT = upper_BT - width_BT * np.random.default_rng(0).random(upper_BT.shape)
    # Rows that went on for 6 tokens did not stop: only a stop token's interval is missing.
    for step in range(5):
        assert stats.spearmanr(u_BT[:, step], u_BT[:, step + 1]).pvalue > 1e-4
