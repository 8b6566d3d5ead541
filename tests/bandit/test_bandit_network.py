"""A bandit's policy as a transformers model: exact, float64, and drawn by the seed rules."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_rows import judged

from align_cli.bandit.examination import coverage, regret
from align_cli.bandit.instance import Bandit
from align_cli.bandit.instances import random_linear, rare
from align_cli.bandit.law import on_policy
from align_cli.bandit.named import gold_of, named
from align_cli.bandit.network import BanditNetwork
from align_cli.bandit.policy import kl, linear_softmax, optimum
from align_cli.bandit.preference import win_probability
from align_cli.engine.exact import exact
from align_cli.errors import ConfigError
from align_cli.evaluation.exact import exact as examine
from align_cli.model.language_model import LanguageModel
from align_cli.model.logps import Tabled, completion_logits, completion_logps, picked_logps
from align_cli.model.scoring import score_sequences
from align_cli.noise.plackett_luce import plackett_luce
from align_cli.policy.bandit import linear_softmax as write_linear
from align_cli.policy.bandit import tabular as write_tabular
from align_cli.rows import Decoding, Draw, Label, Message
from align_cli.seeds import derive, uniforms
from align_cli.store.cost import Cost
from align_cli.task.bandit import random_linear as ask_random
from align_cli.task.bandit import rare as ask_rare
from align_cli.task.bandit import zipf
from align_cli.verifier.true_reward import true_reward

RANDOM = {"contexts": 3, "arms": 6, "features": 4, "misfit": 0.0, "instance": 5, "beta": 0.5}
THETA = np.array([0.4, -0.8, 0.3, 0.6])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """At THETA, read back from its folder."""
    folder = tmp_path_factory.mktemp("linear")
    prompts = ask_random("heldout", 0, 0, prompts_per_round=1, **RANDOM)
    write_linear(folder, prompts, reward="linear")
    made = LanguageModel.load(folder, device="cpu")
    assert isinstance(made.network, BanditNetwork)
    with torch.no_grad():
        made.network.parameter.copy_(torch.from_numpy(THETA))
    made.save(folder)
    return LanguageModel.load(folder, device="cpu")


def bandit_of_random() -> Bandit:
    return named(
        "random_linear", {"seed": 5, **{k: v for k, v in RANDOM.items() if k != "instance"}}
    )


def test_log_probs_through_the_language_models_code_are_the_bandits(model: LanguageModel) -> None:
    bandit = bandit_of_random()
    wanted_XK = linear_softmax(bandit, THETA)
    prompts = [model.encode_prompt((Message("user", f"x{x} #{x + 7}"),)) for x in range(3)]
    assert [len(prompt) for prompt in prompts] == [1, 1, 1]
    for x, prompt in enumerate(prompts):
        found = score_sequences(model, [prompt] * 6, [(arm,) for arm in range(6)], Cost())
        np.testing.assert_allclose(found, wanted_XK[x], rtol=0, atol=1e-14)
    assert model.decode((3,)) == "a3"
    assert model.encode_response("a3") == (3,)


def test_the_table_of_log_probs_is_the_logits_path_gradients_too(model: LanguageModel) -> None:
    """Every arm in every context, by `logps_after` and by rows of logits: values and slopes."""
    network = model.network
    assert isinstance(network, Tabled)
    prompts = [(6 + context,) for context in range(3) for _ in range(6)]
    completions = [(arm,) for _ in range(3) for arm in range(6)]
    table_N, where_BT = completion_logps(network, prompts, completions)
    logits_NV, ids_N, mask_BT = completion_logits(network, prompts, completions)
    rows_N = picked_logps(logits_NV, ids_N)
    assert torch.equal(where_BT, mask_BT)
    torch.testing.assert_close(table_N, rows_N, rtol=0, atol=1e-14)
    weight_N = torch.linspace(-1, 2, 18, dtype=torch.float64)
    slopes = [
        torch.autograd.grad((weight_N * logps_N).sum(), list(network.parameters()))[0]
        for logps_N in (table_N, rows_N)
    ]
    assert slopes[0].abs().max() > 0.1
    torch.testing.assert_close(slopes[0], slopes[1], rtol=0, atol=1e-13)


def test_the_engine_inverts_the_cdf_by_the_draws_own_key(model: LanguageModel) -> None:
    bandit = bandit_of_random()
    share_XK = np.exp(linear_softmax(bandit, THETA))
    draws, keys = [], []
    for number in range(400):
        decoding = Decoding(max_new_tokens=1, temperature=0.0 if number % 4 == 3 else 1.0)
        messages = (Message("user", f"x{number % 3} #{number}"),)
        draws.append(Draw(prompt_id=f"p{number}", index=0, messages=messages, decoding=decoding))
        keys.append(derive(1, "draw", number))
    prompt_ids = [model.encode_prompt(draw.messages) for draw in draws]
    made = exact(draws, prompt_ids, keys, model, lambda done, tokens: None)
    u_N = uniforms(np.array(keys, dtype=np.uint64), 0)
    for number, (one, u) in enumerate(zip(made, u_N, strict=True)):
        share_K = share_XK[number % 3]
        greedy = number % 4 == 3
        arm = share_K.argmax() if greedy else np.searchsorted(share_K.cumsum(), u, side="right")
        assert one.token_ids == (arm,)
        assert one.logps[0] == pytest.approx(np.log(share_K[arm]), abs=1e-12)
        assert one.finish == "stop"
    again = exact(draws[7:9], prompt_ids[7:9], keys[7:9], model, lambda done, tokens: None)
    assert again == made[7:9]


def test_a_bandit_has_no_words(model: LanguageModel) -> None:
    talk = (Message("user", "x0"), Message("assistant", "a1"), Message("user", "x0"))
    with pytest.raises(ConfigError, match="context alone"):
        model.encode_prompt(talk)


def test_the_hidden_state_of_an_arm_is_its_features(model: LanguageModel) -> None:
    ids_BT = torch.tensor([[7, 2], [6, 5]])
    out = model.network(input_ids=ids_BT, output_hidden_states=True)
    wanted_BD = bandit_of_random().features[[1, 0], [2, 5]]
    np.testing.assert_array_equal(out.hidden_states[-1][:, 1].numpy(), wanted_BD)
    assert not out.hidden_states[-1][:, 0].any()


def test_gumbel_noise_makes_pairs_bradley_terry() -> None:
    bandit = rare(0.01, beta=1.0)
    reward_K = bandit.reward_XK[0]
    chance_KK = win_probability(bandit)[0]
    count = 4000
    for i, j in ((0, 1), (3, 4), (5, 2)):
        wins = 0
        for number in range(count):
            one, other = (
                plackett_luce(
                    Label(prompt_id=f"p{number}", index=place, score=float(reward_K[arm])),
                    derive("test", number, place),
                    temperature=1.0,
                )
                for place, arm in enumerate((i, j))
            )
            wins += float(one.score or 0) > float(other.score or 0)
            assert (one.clean_score, one.right) == (reward_K[i], None)
        spread = np.sqrt(chance_KK[i, j] * (1 - chance_KK[i, j]) / count)
        assert abs(wins / count - chance_KK[i, j]) < 4 * spread


@settings(max_examples=25)
@given(
    st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 7), st.floats(0.05, 3.0),
    st.floats(0.0, 0.5),
)  # fmt: skip
def test_any_policy_of_any_bandit(
    seed: int, contexts: int, arms: int, beta: float, misfit: float
) -> None:
    features = min(3, contexts * (arms - 1))
    bandit = random_linear(
        seed, contexts=contexts, arms=arms, features=features, beta=beta, misfit=misfit
    )
    log_policy_XK = linear_softmax(bandit, np.random.default_rng(seed).normal(size=features))
    np.testing.assert_allclose(np.exp(log_policy_XK).sum(1), 1.0, rtol=1e-12)
    assert on_policy(bandit, log_policy_XK).joint.sum() == pytest.approx(contexts)
    best_XK = optimum(bandit)
    assert kl(bandit, log_policy_XK, best_XK) >= 0
    assert regret(bandit, best_XK) == pytest.approx(0, abs=1e-12)
    # J(pi*) - J(pi), computed from J itself.
    reach = [
        float(
            bandit.context_X @ (np.exp(p_XK) * bandit.reward_XK).sum(1)
            - beta * kl(bandit, p_XK, bandit.log_reference_XK)
        )
        for p_XK in (best_XK, log_policy_XK)
    ]
    assert regret(bandit, log_policy_XK) == pytest.approx(reach[0] - reach[1], abs=1e-9)
    at_best = coverage(bandit, best_XK)
    assert at_best["density_supremum"] == pytest.approx(1.0)
    if "coverage_trace" in at_best:
        assert at_best["coverage_trace"] == pytest.approx(features, rel=1e-6)


def test_prompts_follow_the_law_of_contexts() -> None:
    prompts = ask_random("train", 0, 0, prompts_per_round=4000, **RANDOM)
    assert len({prompt.id for prompt in prompts}) == 4000
    assert prompts == ask_random("train", 0, 0, prompts_per_round=4000, **RANDOM)
    assert prompts != ask_random("train", 1, 0, prompts_per_round=4000, **RANDOM)
    share_X = bandit_of_random().context_X
    for x, share in enumerate(share_X):
        seen = sum(p.messages[0].content.startswith(f"x{x} ") for p in prompts) / 4000
        assert abs(seen - share) < 4 * np.sqrt(share * (1 - share) / 4000)


RARE = {"rare_mass": 0.01, "best_mass": 0.7, "axes": 4, "beta": 0.2, "fillers": 0}


def test_what_does_not_fit_is_told_with_the_figure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rank 2, and there are 3"):
        ask_random("train", 0, 0, prompts_per_round=1, **RANDOM | {"contexts": 1, "arms": 3,
                                                                  "features": 3})  # fmt: skip
    wild = ask_random("heldout", 0, 0, prompts_per_round=1, **RANDOM | {"misfit": 0.3})
    with pytest.raises(ConfigError, match=r"misses by 0\.\d+ .*wanted at most 1e-08"):
        write_linear(tmp_path / "a", wild, reward="linear")
    write_linear(tmp_path / "b", wild, reward="any")
    chain = named("poisson_chain", {"rate": 1e-8, "parameter": 1.0, "last": 5, "beta": 0.1})
    assert np.isfinite(chain.log_reference_XK).all()
    with pytest.raises(ConfigError, match="the gold 'seven' is no question"):
        true_reward(
            [replace(ask_rare("train", 0, 0, prompts_per_round=1, **RARE)[0], gold="seven")],
            [judged(0, True).completion],
        )
    model_of_words = LanguageModel.load(
        Path(__file__).parents[2] / "align_cli" / "policy" / "tiny", device="cpu"
    )
    with pytest.raises(ConfigError, match=r"single arms.*LlamaForCausalLM"):
        exact([], [], [], model_of_words, lambda done, tokens: None)
    prompts = ask_rare("heldout", 0, 0, prompts_per_round=1, **RARE)
    with pytest.raises(ConfigError, match="bandits' policies"):
        examine(prompts, model_of_words, None, {})


def test_a_tabular_policy_needs_no_features(tmp_path: Path) -> None:
    prompts = zipf("heldout", 0, 0, prompts_per_round=1, arms=9, instance=0, beta=1.0)
    write_tabular(tmp_path / "t", prompts)
    model = LanguageModel.load(tmp_path / "t", device="cpu")
    found = examine(prompts, model, None, {"initial": model})
    assert found.metrics["kl_initial_nats"] == 0
    assert "coverage_trace" not in found.metrics
    with pytest.raises(ConfigError, match="no features"):
        write_linear(tmp_path / "l", prompts, reward="linear")
    with pytest.raises(ConfigError, match="policy=tabular has no features"):
        model.network(input_ids=torch.tensor([[9, 2]]), output_hidden_states=True)
    assert gold_of("zipf", {"a": 1}, 0) == '{"bandit": "zipf", "settings": {"a": 1}, "context": 0}'
