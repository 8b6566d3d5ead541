"""A bandit out of a language model's hidden states: what it is made of, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from align_cli.bandit.instance import nearest_parameter, true_parameter
from align_cli.bandit.named import asked, asked_of_all
from align_cli.config.compose import compose
from align_cli.errors import ConfigError
from align_cli.loop.rounds import run
from align_cli.model.features import hidden_features
from align_cli.model.hidden_bandit import _problem, _solutions, hidden
from align_cli.model.language_model import LanguageModel
from align_cli.model.scoring import score_sequences
from align_cli.report.reporter import Silent
from align_cli.rows import Message
from align_cli.store.cost import Cost
from align_cli.task.bandit_hidden import bandit_hidden

TINY = Path(__file__).parents[2] / "align_cli" / "policy" / "tiny"
SETTINGS: dict[str, Any] = {
    "prompts_per_round": None, "path": "package:tiny", "contexts": 3, "steps": 1, "features": 2,
    "features_of": "last_hidden", "reward": "teacher", "instance": 0, "beta": 0.5,
}  # fmt: skip


def ask(**changed: Any) -> Any:
    return bandit_hidden("train", 0, 0, **(SETTINGS | changed))


def test_arms_are_solutions_and_features_what_the_policy_makes_of_them() -> None:
    prompts = ask()
    assert [prompt.messages[0].content for prompt in prompts] == ["x0 #0", "x1 #1", "x2 #2"]
    bandit = asked_of_all([prompt.gold for prompt in prompts], "test")
    true_parameter(bandit)
    model = LanguageModel.load(TINY, device="cpu")
    states, logps = [], []
    for number in range(3):
        problem = _problem(0, number, 1)
        texts = _solutions(problem)
        assert texts[0].endswith(f"={problem.answer}#{problem.answer}")
        assert [int(text.split("#")[1]) - problem.answer for text in texts] == [0, 1, -1]
        asked_ids = [model.encode_prompt((Message("user", problem.text),))] * 3
        answer_ids = [model.encode_response(text) for text in texts]
        found = hidden_features(model, asked_ids, answer_ids, Cost(), which="last_hidden")
        states.append(np.array(found) - np.mean(found, 0))
        logps.append(score_sequences(model, asked_ids, answer_ids, Cost()))
    share_XK = np.exp(logps) / np.exp(logps).sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(bandit.log_reference_XK), share_XK, rtol=1e-4)
    feature_ND, state_NH = bandit.features.reshape(9, 2), np.concatenate(states)
    # Of deviation 1, uncorrelated, and linear in the states: the two directions of most spread.
    np.testing.assert_allclose(feature_ND.T @ feature_ND / 9, np.eye(2), atol=1e-8)
    map_HD, *_ = np.linalg.lstsq(state_NH, feature_ND, rcond=None)
    np.testing.assert_allclose(state_NH @ map_HD, feature_ND, atol=1e-3)
    spread = np.linalg.svd(state_NH, compute_uv=False)[:2]
    np.testing.assert_allclose(
        np.linalg.norm(feature_ND.T @ state_NH, axis=1) / 3, spread, rtol=1e-3
    )


def test_rank_and_misfit_are_said_with_their_figures() -> None:
    with pytest.raises(ConfigError, match=r"differ in 6 directions .* asks for 7; take at most 6"):
        ask(features=7)
    with pytest.raises(ConfigError, match=r"have rank 6, and there are \d+ features"):
        ask(features=None)
    right, _ = asked(ask(reward="right")[0].gold, "test")
    np.testing.assert_array_equal(right.reward_XK, [[1, 0, 0]] * 3)
    misfit = nearest_parameter(right)[1]
    assert misfit > 0.01
    with pytest.raises(ConfigError, match=f"misses by {misfit:.3g}"):
        true_parameter(right)


def test_another_policy_than_the_questions_is_refused() -> None:
    given = {k: v for k, v in SETTINGS.items() if k not in ("prompts_per_round", "path")}
    which = given.pop("features_of")
    with pytest.raises(ConfigError, match="is another one"):
        hidden(policy="package:tiny", content="0" * 24, which=which, **given)


def test_a_run_on_expectations_finds_the_best_policy(tmp_path: Path) -> None:
    words = [
        "experiment=bandit_exact", "task=bandit_hidden", "~task.misfit", "task.contexts=3",
        "task.steps=1", "task.features=2", "policy.reward=linear", "schedule.rounds=1",
        "tracker=none", "threads=1", f"outputs={tmp_path}",
    ]  # fmt: skip
    result = run(compose(words), Silent())
    assert result.start["6_scores"]["eval/kl_optimum_nats"] > 1e-3
    assert result.rounds[0]["6_scores"]["eval/kl_optimum_nats"] < 1e-9
