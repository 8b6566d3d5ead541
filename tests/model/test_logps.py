"""Log-probs of completions: against a loop over tokens, one sequence at a time."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from align_cli.model.logps import completion_mask, pad_right, sequence_logps, token_logps

FAMILIES = ["llama", "gpt2"]
"""Rotary and absolute positions."""
CPU = torch.device("cpu")
EOS = 3

PROMPTS = [(2, 7, 9), (2, 5), (2, 8, 8, 8, 11, 4), (6,)]
COMPLETIONS = [(10, 12, EOS), (7, 7, 7, 7, 7, 7, 9), (EOS,), (0, 4, 0, EOS)]


@torch.inference_mode()
def by_loop(network, prompt, completion):
    """log p of each completion token, from a forward pass over exactly what precedes it."""
    logps = []
    for end in range(len(completion)):
        before = torch.tensor([[*prompt, *completion[:end]]])
        logits = network(input_ids=before).logits[0, -1].double()
        logps.append(float(logits.log_softmax(-1)[completion[end]]))
    return logps


def of_completions(network, prompts, completions):
    """The masked log-probs as one list per sequence."""
    with torch.inference_mode():
        logps_BT, mask_BT = token_logps(network, prompts, completions)
    return [logps_T[mask_T].tolist() for logps_T, mask_T in zip(logps_BT, mask_BT, strict=True)]


class Written:
    """A "model" over 3 tokens whose logits are written out: row t is what follows position t."""

    device = CPU

    def __init__(self, rows):
        self.rows_TV = torch.tensor(rows, dtype=torch.float32)

    def __call__(self, input_ids, use_cache, logits_to_keep=0):
        kept_TV = self.rows_TV[: input_ids.shape[1]][-logits_to_keep:]
        return SimpleNamespace(logits=kept_TV.expand(len(input_ids), -1, -1))


def test_the_shift_by_one_written_out():
    """Tokens 2 0 1: row 0 gives p(0) = 1/2, row 1 gives p(1) = 1/10, row 2 is never asked."""
    log = torch.log
    rows = [
        log(torch.tensor([0.5, 0.25, 0.25])).tolist(),
        log(torch.tensor([0.2, 0.1, 0.7])).tolist(),
        [50.0, 0.0, -50.0],
    ]
    network = Written(rows)
    logps_BT, mask_BT = token_logps(network, [(2,)], [(0, 1)])
    assert mask_BT.tolist() == [[False, True, True]]
    assert logps_BT.exp().tolist() == [[1.0, pytest.approx(0.5), pytest.approx(0.1)]]
    logps_BT, mask_BT = token_logps(network, [(2, 0)], [(1,)])
    assert mask_BT.tolist() == [[False, False, True]]
    assert logps_BT.exp().tolist() == [[1.0, 1.0, pytest.approx(0.1)]]
    assert float(sequence_logps(network, [(2,)], [(0, 1)])) == pytest.approx(-2.995732)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_agrees_with_a_loop_over_tokens(family, tiny):
    network = tiny(family)
    made = of_completions(network, PROMPTS, COMPLETIONS)
    for logps, prompt, completion in zip(made, PROMPTS, COMPLETIONS, strict=True):
        assert logps == pytest.approx(by_loop(network, prompt, completion), abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_company_and_padding_change_nothing(family, tiny):
    network = tiny(family)
    together = of_completions(network, PROMPTS, COMPLETIONS)
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        (alone,) = of_completions(network, [prompt], [completion])
        (padded, _) = of_completions(network, [prompt, (2,)], [completion, (9,) * 20])
        assert alone == pytest.approx(together[row], abs=1e-5)
        assert padded == pytest.approx(together[row], abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_where_the_prompt_ends_does_not_change_a_tokens_log_prob(family, tiny):
    network, tokens = tiny(family), (2, 9, 4, 11, 6, 13, 3)
    (whole,) = of_completions(network, [tokens[:1]], [tokens[1:]])
    for cut in range(2, len(tokens)):
        (tail,) = of_completions(network, [tokens[:cut]], [tokens[cut:]])
        assert tail == pytest.approx(whole[cut - 1 :], abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_end_of_turn_is_a_token_like_any_other(family, tiny):
    network = tiny(family)
    with torch.inference_mode():
        logits_V = network(torch.tensor([[2, 7, 9, 10, 12]])).logits[0, -1]
        with_end, without = (
            float(sequence_logps(network, [(2, 7, 9)], [completion]))
            for completion in [(10, 12, EOS), (10, 12)]
        )
    ending = float(logits_V.log_softmax(-1)[EOS])
    assert with_end - without == pytest.approx(ending, abs=1e-5)
    assert ending < -0.01


def test_padding_token_zero_is_scored_where_it_was_sampled(tiny):
    network = tiny("llama")
    made = of_completions(network, [(2, 7), (2, 7)], [(0, 0, 5), (9,) * 9])
    assert made[0] == pytest.approx(by_loop(network, (2, 7), (0, 0, 5)), abs=1e-5)


@settings(max_examples=20)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6)), min_size=1, max_size=5),
    seed=st.integers(0, 999),
)
def test_sums_are_over_completion_tokens_only(lengths, seed, tiny):
    generator = torch.Generator().manual_seed(seed)
    prompts, completions = (
        [tuple(torch.randint(20, (pair[side],), generator=generator).tolist()) for pair in lengths]
        for side in (0, 1)
    )
    network = tiny("llama", num_hidden_layers=1)
    with torch.inference_mode():
        sums_B = sequence_logps(network, prompts, completions)
        logps_BT, mask_BT = token_logps(network, prompts, completions)
    assert mask_BT.sum(-1).tolist() == [length for _, length in lengths]
    assert not logps_BT[~mask_BT].any()
    for total, prompt, completion in zip(sums_B.tolist(), prompts, completions, strict=True):
        assert total == pytest.approx(sum(by_loop(network, prompt, completion)), abs=1e-4)


def test_half_precision_weights_are_scored_in_single_precision(tiny):
    network = tiny("llama").to(torch.bfloat16)
    with torch.inference_mode():
        logps_BT, mask_BT = token_logps(network, PROMPTS, COMPLETIONS)
        logits_TV = network(torch.tensor([[*PROMPTS[0], *COMPLETIONS[0]]])).logits[0].float()
    assert logps_BT.dtype == torch.float32
    wanted = [float(logits_TV[2 + t].log_softmax(-1)[COMPLETIONS[0][t]]) for t in range(3)]
    # A row alone and in a batch differ by bfloat16's own rounding.
    assert logps_BT[0][mask_BT[0]].tolist() == pytest.approx(wanted, abs=0.05)


def test_gradients_are_those_of_the_sequence_alone(tiny):
    network = tiny("llama")

    def gradients(logp):
        network.zero_grad()
        logp.backward()
        return [weight.grad.clone() for weight in network.parameters()]

    made = gradients(sequence_logps(network, PROMPTS, COMPLETIONS)[1])
    ids_1T = torch.tensor([[*PROMPTS[1], *COMPLETIONS[1]]])
    logps_TV = network(ids_1T).logits[0].log_softmax(-1)
    start, end = len(PROMPTS[1]), ids_1T.shape[1]
    wanted = gradients(sum(logps_TV[at - 1, ids_1T[0, at]] for at in range(start, end)))
    for one, other in zip(made, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert max(float(weight.abs().max()) for weight in wanted) > 0.1


def test_padding_and_masks_written_out():
    prompts, completions = [(5, 6), (7,)], [(8,), (9, 9, 9)]
    joined = [[*p, *c] for p, c in zip(prompts, completions, strict=True)]
    assert pad_right(joined, device=CPU).tolist() == [[5, 6, 8, 0], [7, 9, 9, 9]]
    assert completion_mask(prompts, completions, device=CPU).tolist() == [
        [False, False, True, False],
        [False, True, True, True],
    ]
