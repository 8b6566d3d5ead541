"""Rock, paper, scissors among styles of answers: what rewards cannot hold, embeddings can."""

import json
import random
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from reward_models import train_rm
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps
from align_cli.loss.group_win_rate import group_win_rate
from align_cli.model.reward_model import RewardModel
from align_cli.rows import Message
from align_cli.verifier.pairwise import odds_between
from align_cli.verifier.win_rate import mean_win_rate

STYLES = ("rock", "scissors", "paper")
"""Each beats the next, the last the first."""
START = [0.4, 0.33, 0.27]
"""The mixture of styles before the first round."""
WORDS = (
    "train.batch_size=16", "train.micro_batch_size=16", "train.epochs=5",
    "train.learning_rate=0.001", "train.checkpoint_every=1000", "train.heldout_share=0.3",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A reward and a preference model of the same pairs: for every prompt each of the three."""
    before, stream = torch.get_num_threads(), random.Random(0)
    outputs = tmp_path_factory.mktemp("circle")
    lines = []
    for number in range(60):
        answers = [f"{style} {stream.randint(10, 99)}" for style in STYLES]
        lines += [
            {"prompt": f"case {number}", "chosen": answers[i], "rejected": answers[(i + 1) % 3]}
            for i in range(3)
        ]
    file = outputs / "circle.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = (*WORDS, f"preference.path={file}")
    made = {
        name: train_rm(outputs, *words, f"objective={name}", f"name={name}")
        for name in ("bradley_terry", "general_preference")
    }
    torch.set_num_threads(before)
    return made


def test_rewards_are_no_better_than_chance_and_embeddings_fit(trained: dict[str, Any]) -> None:
    """Around a circle the gaps r_i - r_j sum to 0, and -log sigmoid is convex.

    So for any rewards the mean loss of the three pairs is log 2 or more, and at most two of three
    gaps are positive: no data and no training gets beyond that.
    """
    rewards, circle = trained["bradley_terry"].metrics, trained["general_preference"].metrics
    for part in ("train", "heldout"):
        assert rewards[f"rm/{part}_nll"] >= log(2) - 1e-6
        assert rewards[f"rm/{part}_accuracy"] <= 2 / 3 + 1e-6
        assert circle[f"rm/{part}_accuracy"] == 1.0
        assert circle[f"rm/{part}_nll"] < 0.1


def test_rounds_of_win_rates_keep_the_mixture_that_rewards_destroy(
    trained: dict[str, Any],
) -> None:
    """Rounds of SPPO (loss=sppo_group, target=score) on a policy of three styles, judged by either.

    Every round draws siblings, scores them by verifier=win_rate's formula under the judge, and
    regresses the log-ratios. The circle has no winner: its only equilibrium is the even mixture.
    """
    circle = answers_odds(trained["general_preference"].model)
    rewards = answers_odds(trained["bradley_terry"].model)
    kept = rounds_of_win_rates(circle, rounds=80)
    assert all(abs(chance - 1 / 3) < 0.15 for chance in kept)
    # Rewards of no real difference, believed as they are, leave the start as it was; as soon as the
    # higher one is taken for the better one, as pairs of best and worst do, one style is left.
    undecided = rounds_of_win_rates(rewards, rounds=80)
    assert undecided == pytest.approx(START, abs=0.1)
    assert max(rounds_of_win_rates(torch.sign(rewards) * 1e4, rounds=80)) > 0.95


def answers_odds(folder: Path) -> Tensor:
    """[3, 3] log-odds between one answer of each style."""
    model = RewardModel.load(folder, device="cpu")
    asked = [((Message("user", "case 7"),), f"{style} 50", True) for style in STYLES]
    sequences = [ids for ids in model.encode_all(asked) if not isinstance(ids, str)]
    return odds_between(model, model.read(sequences))


def rounds_of_win_rates(odds_KK: Tensor, *, rounds: int) -> list[float]:
    """The mixture after the rounds, from START; 200 prompts a round, 8 siblings each."""
    generator = torch.Generator().manual_seed(0)
    logits_K = torch.tensor(START).log().requires_grad_()
    for _ in range(rounds):
        reference_K = logits_K.detach().log_softmax(0)
        drawn_GK = torch.multinomial(
            reference_K.exp().expand(200, -1), 8, replacement=True, generator=generator
        )
        scores = [mean_win_rate(odds_KK[each][:, each]) for each in drawn_GK]
        labels = GroupLabels(torch.cat(scores), None)
        optimiser = torch.optim.SGD([logits_K], lr=0.5)
        for _ in range(5):
            loss = group_win_rate(
                _groups(logits_K.log_softmax(0), drawn_GK), _groups(reference_K, drawn_GK), labels,
                beta=4.0, target="score", score_scale=1.0,
            )  # fmt: skip
            optimiser.zero_grad()
            loss.loss_G.mean().backward()
            optimiser.step()
    return list(logits_K.detach().softmax(0).tolist())


def _groups(logps_K: Tensor, drawn_GK: Tensor) -> GroupLogps:
    groups, size = drawn_GK.shape
    group_C = torch.arange(groups).repeat_interleave(size)
    return GroupLogps(logps_K[drawn_GK.reshape(-1)], torch.ones_like(group_C), group_C, groups)
