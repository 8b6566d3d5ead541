"""The f-divergence losses against their mathematics, and against TRL."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import logsigmoid

from align_cli.batches import PairLogps, PairLoss
from align_cli.errors import ConfigError
from align_cli.loss.links import LINKS
from align_cli.loss.pairwise import pairwise

BUILT_IN = [name for name in LINKS if name != "user"]
ratios = st.floats(-20, 20)  # log-ratio of one answer [nats]
betas = st.floats(0.001, 2.0)
flips = st.floats(0.0, 0.49)


def at(chosen: Tensor | float, rejected: Tensor | float, **settings: Any) -> PairLoss:
    """The loss where the log-ratios are these; the reference's log-probs are not zero."""
    sides = [torch.as_tensor(one, dtype=torch.float64).reshape(-1) for one in (chosen, rejected)]
    ones_B = torch.ones(sides[0].shape, dtype=torch.int64)
    reference = PairLogps(
        torch.full_like(sides[0], -3), torch.full_like(sides[1], -7), ones_B, ones_B
    )
    pairs = PairLogps(sides[0] - 3, sides[1] - 7, ones_B, ones_B)
    if "label_smoothing" in settings:
        settings["labels"] = "smoothed"
    if settings["link"] == "alpha":
        settings.setdefault("alpha", 0.5)
    return pairwise(pairs, reference, **settings)


def gradients(chosen: float, rejected: float, **settings: Any) -> tuple[float, float, float]:
    """(loss, d loss / d l_chosen, d loss / d l_rejected)."""
    sides = torch.tensor([chosen, rejected], dtype=torch.float64, requires_grad=True)
    loss = at(sides[0], sides[1], **settings).loss_B.sum()
    loss.backward()
    assert sides.grad is not None
    return loss.item(), sides.grad[0].item(), sides.grad[1].item()


def test_every_link_is_offered_by_name():
    annotation = pairwise.__annotations__["link"]
    assert set(LINKS) == set(annotation.__args__)


# beta, l_chosen, l_rejected -> margin, loss, gradients: computed by hand calculus, 6 digits.
SQUARED = [
    (0.1, 0, 0, 0, 0.693147, -0.05, 0.05),
    (0.1, 1, -1, 0.308616, 0.550698, 0, 0.230213),
    (0.1, 0.5, -0.5, 0.112763, 0.638354, -0.0143092, 0.11669),
    (0.1, -1, -2, 1.20598, 0.261901, -0.125265, 0.510759),
    (0.1, -2, -1, -1.20598, 1.46788, -1.70596, 0.418391),
    (0.1, 2, -1, 0.298895, 0.554826, 0.00576295, 0.231504),  # a winner beyond e is pulled down
    (0.1, 0, 2, -0.0270671, 0.706772, -0.0506766, -0.00685834),  # a loser beyond e is pushed up
    (0.01, -3, -5, 6.81809, 0.00109321, -0.000877827, 0.00972947),
    (0.01, -1, -2, 0.120598, 0.634665, -0.0255457, 0.104161),
]


@pytest.mark.parametrize("clip", [None, 50.0])
@pytest.mark.parametrize("row", SQUARED, ids=str)
def test_squared_at_known_points(row: tuple[float, ...], clip: float | None):
    beta, chosen, rejected, margin, *expected = row
    settings = {"beta": beta, "link": "squared", "exponent_clip": clip}
    out = at(chosen, rejected, **settings)
    found = float(out.chosen_reward_B - out.rejected_reward_B)
    assert found == pytest.approx(margin, rel=5e-6, abs=1e-9)
    assert gradients(chosen, rejected, **settings) == pytest.approx(expected, rel=5e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("reverse_kl", [0.598139, 0.644397, 0.644397, 0.744397]),
        ("squared", [0.550698, 0.638354, 0.261901, 1.467884]),
        ("chi_po", [0.499100, 0.596242, 0.633418, 0.756672]),
        ("forward_kl", [0.582517, 0.642395, 0.486634, 0.953712]),
        ("jensen_shannon", [0.644397, 0.668460, 0.653291, 0.734658]),
        ("alpha", [0.594349, 0.643900, 0.591900, 0.805812]),
    ],
)
def test_losses_at_beta_one_tenth(link: str, expected: list[float]):
    chosen = torch.tensor([1, 0.5, -1, -2])
    rejected = torch.tensor([-1, -0.5, -2, -1])
    found = at(chosen, rejected, beta=0.1, link=link).loss_B
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), atol=6e-7, rtol=0
    )


def slope(link: str, ratio: float) -> float:
    return {
        "reverse_kl": 1.0,
        "forward_kl": math.exp(-ratio),
        "jensen_shannon": 1 / (1 + math.exp(ratio)),
        "alpha": math.exp(-0.5 * ratio),
        "chi_squared": math.exp(ratio),
        "chi_po": 1 + math.exp(ratio),
        "squared": (1 - ratio) * math.exp(-ratio),
    }[link]


@pytest.mark.parametrize("link", BUILT_IN)
@given(chosen=ratios, rejected=ratios, beta=betas, flip=flips)
def test_gradient_is_the_closed_form(
    link: str, chosen: float, rejected: float, beta: float, flip: float
):
    settings = {"beta": beta, "link": link, "label_smoothing": flip}
    out = at(chosen, rejected, **settings)
    # d loss / d margin = -(sigmoid(-margin) - flip), the chain rule does the rest.
    push = torch.sigmoid(out.rejected_reward_B - out.chosen_reward_B).item() - flip
    _, chosen_gradient, rejected_gradient = gradients(chosen, rejected, **settings)
    expected = -beta * push * slope(link, chosen)
    assert chosen_gradient == pytest.approx(expected, rel=1e-6, abs=1e-9)
    expected = beta * push * slope(link, rejected)
    assert rejected_gradient == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("link", BUILT_IN)
@given(beta=betas, flip=flips)
def test_at_the_reference_every_link_is_dpo_up_to_its_slope(link: str, beta: float, flip: float):
    found = gradients(0.0, 0.0, beta=beta, link=link, label_smoothing=flip)
    push = beta * (0.5 - flip) * slope(link, 0.0)
    assert found == pytest.approx((math.log(2), -push, push))


@pytest.mark.parametrize("link", BUILT_IN)
@given(chosen=ratios, rejected=ratios, beta=betas, flip=flips)
def test_smoothing_mixes_the_pair_with_its_reverse(
    link: str, chosen: float, rejected: float, beta: float, flip: float
):
    forward = at(chosen, rejected, beta=beta, link=link).loss_B.item()
    reverse = at(rejected, chosen, beta=beta, link=link).loss_B.item()
    mixed = at(chosen, rejected, beta=beta, link=link, label_smoothing=flip).loss_B.item()
    assert mixed == pytest.approx((1 - flip) * forward + flip * reverse)


@given(ratio=ratios, beta=betas)
def test_squared_rewards_stay_below_beta_over_e(ratio: float, beta: float):
    reward = at(ratio, 0.0, beta=beta, link="squared").chosen_reward_B.item()
    assert reward <= beta / math.e * (1 + 1e-12)
    peak = at(1.0, 0.0, beta=beta, link="squared").chosen_reward_B.item()
    assert peak == pytest.approx(beta / math.e)


@given(ratio=st.floats(-20, 20), clip=st.floats(0.5, 20))
def test_the_clip_changes_nothing_above_it_and_is_straight_below(ratio: float, clip: float):
    sides = torch.tensor([ratio], dtype=torch.float64, requires_grad=True)
    clipped = LINKS["squared"](sides, exponent_clip=clip)
    clipped.sum().backward()
    if ratio >= -clip:
        assert clipped.item() == LINKS["squared"](sides).item()
    else:
        assert clipped.item() == pytest.approx(ratio * math.exp(clip))
        assert sides.grad is not None
        assert sides.grad.item() == pytest.approx(math.exp(clip))


def test_a_clip_without_an_exponent_is_refused():
    with pytest.raises(ConfigError, match=r"link=reverse_kl.*link=squared"):
        at(0.0, 0.0, beta=0.1, link="reverse_kl", exponent_clip=50.0)


def test_half_precision_log_probs_are_subtracted_in_float32():
    ones_B = torch.ones(1, dtype=torch.int64)
    # Both are exact in bfloat16; their difference is not: its neighbours there are 2 nats apart.
    policy = PairLogps(
        torch.tensor([-302.0], dtype=torch.bfloat16), torch.zeros(1, dtype=torch.bfloat16),
        ones_B, ones_B,
    )  # fmt: skip
    reference = PairLogps(
        torch.tensor([-1.5], dtype=torch.bfloat16), torch.zeros(1, dtype=torch.bfloat16),
        ones_B, ones_B,
    )  # fmt: skip
    reward = pairwise(policy, reference, beta=1.0).chosen_reward_B
    assert reward.dtype == torch.float32
    assert reward.item() == -300.5


@pytest.mark.parametrize("link", ["reverse_kl", "squared"])
@pytest.mark.parametrize("flip", [0.0, 0.1])
def test_putting_parts_together_costs_no_bit(link: str, flip: float):
    """Recorded traces rest on these bits, in float32, values and gradients."""
    sides = torch.empty(4, 64).uniform_(-40, -1, generator=torch.Generator().manual_seed(1))

    def by_hand(chosen: Tensor, rejected: Tensor) -> Tensor:
        scores = [chosen - sides[2], rejected - sides[3]]
        if link == "squared":
            scores = [score * torch.exp((-score).clamp(max=5.0)) for score in scores]
        margin = 0.1 * scores[0] - 0.1 * scores[1]
        loss = -(1 - flip) * logsigmoid(margin)
        return loss - flip * logsigmoid(-margin) if flip else loss

    def by_parts(chosen: Tensor, rejected: Tensor) -> Tensor:
        ones_B = torch.ones(64, dtype=torch.int64)
        clip = {"exponent_clip": 5.0} if link == "squared" else {}
        return pairwise(
            PairLogps(chosen, rejected, ones_B, ones_B),
            PairLogps(sides[2], sides[3], ones_B, ones_B),
            beta=0.1, link=link, labels="smoothed", label_smoothing=flip, **clip,
        ).loss_B  # fmt: skip

    found = []
    for loss in (by_hand, by_parts):
        leaves = sides[:2].clone().requires_grad_()
        value = loss(leaves[0], leaves[1])
        found.append((value.detach(), *torch.autograd.grad(value.mean(), leaves)))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
