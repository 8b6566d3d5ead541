"""Arms drawn by a law: as often as it says, whatever is asked beside them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from align_cli.bandit.named import asked
from align_cli.bandit.network import BanditNetwork
from align_cli.bandit.policy import linear_softmax
from align_cli.bandit.rounds import SAMPLERS
from align_cli.model.language_model import LanguageModel
from align_cli.policy.bandit import linear_softmax as write_linear
from align_cli.rows import Prompt
from align_cli.sampler.pair_law import inverted, pair_law
from align_cli.task.bandit import random_linear

COUNT = 4000
RANDOM = {"contexts": 2, "arms": 4, "features": 3, "misfit": 0.0, "instance": 1, "beta": 0.5}
THETA = np.array([0.7, -0.5, 0.2])


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return random_linear("train", 0, 0, prompts_per_round=COUNT, **RANDOM)


@pytest.fixture(scope="module")
def policy(prompts: list[Prompt], tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    folder: Path = tmp_path_factory.mktemp("policy")
    write_linear(folder, prompts, reward="linear")
    made = LanguageModel.load(folder, device="cpu")
    assert isinstance(made.network, BanditNetwork)
    with torch.no_grad():
        made.network.parameter.copy_(torch.from_numpy(THETA))
    return made


@pytest.mark.parametrize("law", sorted(SAMPLERS))
def test_pairs_come_as_often_as_the_law_says(
    law: str, prompts: list[Prompt], policy: LanguageModel
) -> None:
    draws = pair_law(prompts, [], policy, 11, law=law)
    assert len(draws) == 2 * COUNT
    bandit = asked(prompts[0].gold, "test")[0]
    joint_XKK = SAMPLERS[law](bandit, linear_softmax(bandit, THETA)).joint
    context = {prompt.id: asked(prompt.gold, "test")[1] for prompt in prompts}
    seen_XKK = np.zeros_like(joint_XKK)
    for one, other in zip(draws[::2], draws[1::2], strict=True):
        assert (one.prompt_id, one.index, other.index) == (other.prompt_id, 0, 1)
        arms = [int(str(draw.given).removeprefix("a")) for draw in (one, other)]
        seen_XKK[context[one.prompt_id], *arms] += 1
    total_X11 = seen_XKK.sum((1, 2), keepdims=True)
    spread_XKK = np.sqrt(joint_XKK * (1 - joint_XKK) / total_X11)
    assert (np.abs(seen_XKK / total_X11 - joint_XKK) <= 4.5 * spread_XKK + 1e-12).all()
    few = pair_law(prompts[:7][::-1], [], policy, 11, law=law)
    assert {(d.prompt_id, d.index): d for d in few} == {
        (d.prompt_id, d.index): d for d in draws[:14]
    }


def test_an_arm_without_weight_is_never_drawn() -> None:
    weight_NK = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    assert inverted(weight_NK, np.array([0.0, 0.5])).tolist() == [1, 2]
    assert inverted(weight_NK, np.array([1 - 2**-53, 1 - 2**-53])).tolist() == [1, 2]
