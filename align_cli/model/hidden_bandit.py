"""A bandit whose features a language model makes: worked sums are arms, as it sees them."""

import random
from itertools import product
from typing import Literal

import numpy as np

from align_cli.arithmetic import LARGEST, Problem, draw_problem
from align_cli.bandit.instance import Array, Bandit
from align_cli.bandit.policy import normalised
from align_cli.errors import ConfigError
from align_cli.model.features import HiddenName, hidden_features
from align_cli.model.language_model import LanguageModel
from align_cli.model.locate import located_or_bundled
from align_cli.model.scoring import score_sequences
from align_cli.rows import Message
from align_cli.seeds import derive
from align_cli.store import fingerprint
from align_cli.store.cost import Cost

SLIPS = (0, 1, -1)
"""What a candidate adds to the true result of a step."""
HiddenReward = Literal["teacher", "right"]


def content_of(policy: str) -> str:
    """Fingerprint of a policy's weights and words."""
    folder, _ = located_or_bundled(policy, None, group="task")
    files = [*folder.glob("*.safetensors"), *folder.glob("tokenizer.json")]
    return fingerprint.of_value(fingerprint.of_files(files, within=folder))


def hidden(
    *,
    policy: str,
    content: str,
    contexts: int,
    steps: int,
    features: int | None,
    which: HiddenName,
    reward: HiddenReward,
    instance: int,
    beta: float,
) -> Bandit:
    """X chained sums, each with 3^steps worked solutions; `task=bandit_hidden` says the rest."""
    if (found := content_of(policy)) != content:
        raise ConfigError(
            f"bandit hidden: the policy {policy} is another one ({found[:12]}) than the questions "
            f"were made with ({content[:12]}); make the questions again"
        )
    asked = [_problem(instance, number, steps) for number in range(contexts)]
    texts = [_solutions(problem) for problem in asked]
    model = LanguageModel.load(located_or_bundled(policy, None, group="task")[0], device="cpu")
    prompts = [
        model.encode_prompt((Message("user", problem.text),))
        for problem, arms in zip(asked, texts, strict=True)
        for _ in arms
    ]
    answers = [model.encode_response(text) for arms in texts for text in arms]
    cost, shape = Cost(), (contexts, len(SLIPS) ** steps)
    logps = score_sequences(model, prompts, answers, cost)
    states = np.array(hidden_features(model, prompts, answers, cost, which=which))
    feature_XKD = _reduced(states.reshape(*shape, -1), features)
    draws = np.random.default_rng(derive("bandit hidden", instance))
    reward_XK = np.zeros(shape)
    reward_XK[:, 0] = 1.0  # Nothing slips in the first.
    if reward == "teacher":
        dimension = feature_XKD.shape[2]
        reward_XK = beta * feature_XKD @ (draws.normal(size=dimension) / np.sqrt(dimension))
    return Bandit(
        np.full(contexts, 1 / contexts),
        normalised(np.array(logps, dtype=np.float64).reshape(shape)),
        reward_XK,
        beta,
        feature_XKD,
    )


def _problem(instance: int, number: int, steps: int) -> Problem:
    """A sum whose steps stay in range, and not below 0, however the steps before slip."""
    stream = random.Random(derive("bandit hidden", instance, number))
    while True:
        problem = draw_problem(stream, steps=steps, first_max=LARGEST, split="heldout")
        values = np.cumsum([problem.first, *problem.operands])
        if values.min() >= steps and values.max() <= LARGEST - steps:
            return problem


def _solutions(problem: Problem) -> list[str]:
    """Every way to be right or off by one at each step, the right one first."""
    found = []
    for slips in product(SLIPS, repeat=problem.steps):
        value, written = problem.first, []
        for operand, slip in zip(problem.operands, slips, strict=True):
            result = value + operand + slip
            written.append(f"{value}{operand:+d}={result}")
            value = result
        found.append(";".join(written) + f"#{value}")
    return found


def _reduced(state_XKH: Array, features: int | None) -> Array:
    """Centred per context, on the directions of most spread, each of standard deviation 1."""
    centred_XKH: Array = state_XKH - state_XKH.mean(1, keepdims=True)
    if features is None:
        return centred_XKH
    flat_NH = centred_XKH.reshape(-1, centred_XKH.shape[2])
    _, value_R, basis_RH = np.linalg.svd(flat_NH, full_matrices=False)
    rank = int((value_R > value_R[0] * 1e-6).sum())
    if features > rank:
        raise ConfigError(
            f"bandit hidden: the hidden states of the arms differ in {rank} directions (singular "
            f"values from {value_R[0]:.3g} down to {value_R[-1]:.3g}), and task.features asks for "
            f"{features}; take at most {rank}, or more contexts"
        )
    scale = np.sqrt(len(flat_NH)) / value_R[:features]
    out: Array = centred_XKH @ (basis_RH[:features].T * scale)
    return out
