"""What every loss promises, from its yaml alone: a loss is tested here by existing."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from presets import NAMES, batch, call, couples, formula_of
from torch import Tensor

from align_cli.batches import PairLoss

Loss = Callable[..., PairLoss]


def test_there_are_losses():
    assert {"dpo", "squaredpo"} <= set(NAMES)


@pytest.fixture(params=NAMES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def loss(name: str) -> Loss:
    """(chosen, rejected, ref_chosen, ref_rejected) -> PairLoss, at the yaml's settings."""
    return lambda *sides: call(name, batch(*sides))


NOT_UP_AND_DOWN = {
    "sft": (-1, 0),  # the rejected answer is only watched
    "apo_down": (0, 1),  # the chosen answer's two terms cancel at the reference
    "discopop": (1, -1),  # not convex: the loss rises with the margin around 0
}
"""{preset: signs of the gradients of chosen and rejected at the reference}, if not (-1, 1)."""


logps = st.lists(
    st.tuples(*[st.floats(-30, -5, width=32)] * 4), min_size=2, max_size=5
)  # four log-probs of up to 5 pairs [nats]


@given(rows=logps)
def test_pairs_do_not_see_each_other(name: str, loss: Loss, rows: list[tuple[float, ...]]):
    if couples(name):
        return
    sides = torch.tensor(rows, dtype=torch.float64).T
    together = loss(*sides)
    alone = [loss(*sides[:, b : b + 1]) for b in range(len(rows))]
    for name in ("loss_B", "chosen_reward_B", "rejected_reward_B"):
        expected = torch.cat([getattr(one, name) for one in alone])
        assert getattr(together, name).shape == (len(rows),)
        torch.testing.assert_close(getattr(together, name), expected)


def test_a_loss_that_couples_pairs_says_so_truly(name: str):
    rows = torch.tensor([[-5.0, -9.0], [-6.0, -5.0], [-7.0, -4.0], [-4.0, -8.0]])
    together = call(name, batch(*rows)).loss_B
    alone = torch.cat([call(name, batch(*rows[:, b : b + 1])).loss_B for b in (0, 1)])
    assert torch.equal(together.sort().values, alone.sort().values) != couples(name)


def test_at_the_reference_the_gradient_raises_chosen_and_lowers_rejected(name: str, loss: Loss):
    reference = torch.tensor([[-12.0, -9.0], [-9.0, -8.9]], dtype=torch.float64)
    policy = reference.clone().requires_grad_()
    loss(*policy, *reference).loss_B.sum().backward()
    assert policy.grad is not None
    expected = torch.tensor(NOT_UP_AND_DOWN.get(name, (-1, 1))).unsqueeze(1).expand(2, 2)
    # What cancels by mathematics is left as rounding.
    assert torch.equal(policy.grad.where(policy.grad.abs() > 1e-15, 0).sign(), expected.double())


def test_gradient_is_that_of_the_loss(name: str, loss: Loss):
    if "detach" in formula_of(name):
        return  # by design not the gradient of the whole value
    generator = torch.Generator().manual_seed(3)
    chosen, rejected, *reference = torch.empty(4, 6, dtype=torch.float64).uniform_(
        -14, -10, generator=generator
    )

    def loss_B(chosen: Tensor, rejected: Tensor) -> Tensor:
        return loss(chosen, rejected, *reference).loss_B

    inputs = (chosen.requires_grad_(), rejected.requires_grad_())
    assert torch.autograd.gradcheck(loss_B, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_extreme_log_ratios_stay_finite(loss: Loss, dtype: torch.dtype):
    extremes = torch.tensor([-1e4, -100.0, 0.0, 1e4], dtype=dtype)
    policy = torch.cartesian_prod(extremes, extremes).T.clone().requires_grad_()
    out = loss(*policy, *torch.zeros(2, 16, dtype=dtype))
    out.loss_B.sum().backward()
    assert policy.grad is not None
    assert torch.isfinite(out.loss_B).all()
    assert out.loss_B.dtype == torch.float32
    assert torch.isfinite(policy.grad).all()
    assert torch.isfinite(out.chosen_reward_B).all()
    assert torch.isfinite(out.rejected_reward_B).all()


def test_rewards_and_reference_carry_no_gradient(name: str, loss: Loss):
    sides = torch.tensor([[-5.0], [-5.5], [-7.0], [-4.0]], requires_grad=True)
    out = loss(*sides)
    assert not out.chosen_reward_B.requires_grad
    assert not out.rejected_reward_B.requires_grad
    out.loss_B.sum().backward()
    assert sides.grad is not None
    assert (sides.grad[:1] != 0).all()
    assert bool((sides.grad[1] != 0).all()) == (name != "sft")
    assert (sides.grad[2:] == 0).all()
