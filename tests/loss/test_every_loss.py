"""What every loss promises, from its yaml alone: a loss is tested here by existing."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor

from align_cli.batches import PairLabels, PairLogps, PairLoss

CONF = Path(__file__).parents[2] / "conf" / "loss"
LOSSES = sorted(CONF.glob("*.yaml"))

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], PairLoss]


def test_there_are_losses():
    assert {"dpo", "squaredpo"} <= {file.stem for file in LOSSES}


@pytest.fixture(params=LOSSES, ids=lambda file: file.stem, scope="module")
def loss(request: pytest.FixtureRequest) -> Loss:
    """(chosen, rejected, ref_chosen, ref_rejected) -> PairLoss, at the yaml's settings."""
    settings: Any = OmegaConf.to_container(OmegaConf.load(request.param))
    module, _, name = settings.pop("_target_").rpartition(".")
    function = getattr(import_module(module), name)
    needs = {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.KEYWORD_ONLY
    }
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}

    def call(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor):
        length_B = torch.full(chosen.shape, 20)
        data = {
            "pairs": PairLogps(chosen, rejected, length_B, length_B + 3),
            "ref_pairs": PairLogps(ref_chosen, ref_rejected, length_B, length_B + 3),
            "pair_labels": PairLabels(torch.ones_like(chosen, dtype=torch.float32)),
        }
        return function(**{name: data[name] for name in needs}, **settings)

    return call


logps = st.lists(
    st.tuples(*[st.floats(-30, -5, width=32)] * 4), min_size=2, max_size=5
)  # four log-probs of up to 5 pairs [nats]


@given(rows=logps)
def test_pairs_do_not_see_each_other(loss: Loss, rows: list[tuple[float, ...]]):
    sides = torch.tensor(rows, dtype=torch.float64).T
    together = loss(*sides)
    alone = [loss(*sides[:, b : b + 1]) for b in range(len(rows))]
    for name in ("loss_B", "chosen_reward_B", "rejected_reward_B"):
        expected = torch.cat([getattr(one, name) for one in alone])
        assert getattr(together, name).shape == (len(rows),)
        torch.testing.assert_close(getattr(together, name), expected)


def test_at_the_reference_the_gradient_raises_chosen_and_lowers_rejected(loss: Loss):
    reference = torch.tensor([[-12.0, -7.0], [-9.0, -15.0]], dtype=torch.float64)
    policy = reference.clone().requires_grad_()
    loss(*policy, *reference).loss_B.sum().backward()
    assert policy.grad is not None
    assert (policy.grad[0] < 0).all()
    assert (policy.grad[1] > 0).all()


def test_gradient_is_that_of_the_loss(loss: Loss):
    generator = torch.Generator().manual_seed(3)
    chosen, rejected, *reference = torch.empty(4, 6, dtype=torch.float64).uniform_(
        -14, -10, generator=generator
    )

    def loss_B(chosen: Tensor, rejected: Tensor) -> Tensor:
        return loss(chosen, rejected, *reference).loss_B

    inputs = (chosen.requires_grad_(), rejected.requires_grad_())
    assert torch.autograd.gradcheck(loss_B, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("chosen", [-1e4, -100.0, 0.0, 1e4])
@pytest.mark.parametrize("rejected", [-1e4, -100.0, 0.0, 1e4])
def test_extreme_log_ratios_stay_finite(
    loss: Loss, dtype: torch.dtype, chosen: float, rejected: float
):
    policy = torch.tensor([[chosen], [rejected]], dtype=dtype, requires_grad=True)
    out = loss(*policy, *torch.zeros(2, 1, dtype=dtype))
    out.loss_B.sum().backward()
    assert policy.grad is not None
    assert torch.isfinite(out.loss_B).all()
    assert out.loss_B.dtype == torch.float32
    assert torch.isfinite(policy.grad).all()
    assert torch.isfinite(out.chosen_reward_B).all()
    assert torch.isfinite(out.rejected_reward_B).all()


def test_rewards_and_reference_carry_no_gradient(loss: Loss):
    sides = torch.tensor([[-5.0], [-6.0], [-7.0], [-4.0]], requires_grad=True)
    out = loss(*sides)
    assert not out.chosen_reward_B.requires_grad
    assert not out.rejected_reward_B.requires_grad
    out.loss_B.sum().backward()
    assert sides.grad is not None
    assert (sides.grad[:2] != 0).all()
    assert (sides.grad[2:] == 0).all()
