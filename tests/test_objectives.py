"""What reward models learn: closed forms, symmetry, extremes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid

from align_cli.model.skew import log_odds
from align_cli.objective.bradley_terry import bradley_terry
from align_cli.objective.general_preference import general_preference

rewards = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


def column(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


@given(rewards, rewards, st.floats(0, 0.49), st.floats(0, 3))
def test_the_gradient_of_bradley_terry_is_the_closed_form(
    chosen: list[float], rejected: list[float], smoothing: float, scale: float
) -> None:
    """d loss / d r_chosen = -(sigmoid(-z) - e), in any margin: only z moves."""
    chosen_BD, margin_B = column(chosen).requires_grad_(), torch.tensor([0.5, 1.0, 2.0])
    loss_B = bradley_terry(
        chosen_BD, column(rejected), margin_B, label_smoothing=smoothing, margin_scale=scale
    )
    loss_B.sum().backward()
    z_B = column(chosen)[:, 0] - column(rejected)[:, 0] - scale * margin_B
    torch.testing.assert_close(chosen_BD.grad, -(torch.sigmoid(-z_B) - smoothing)[:, None])
    plain = bradley_terry(
        column(chosen), column(rejected), margin_B, label_smoothing=0.0, margin_scale=scale
    )
    torch.testing.assert_close(plain, -logsigmoid(z_B))


@given(
    st.lists(st.lists(st.floats(-5, 5), min_size=6, max_size=6), min_size=2, max_size=2),
    st.sampled_from([0.1, 1.0]),
)
def test_preferences_are_skew_symmetric_and_bounded(
    vectors: list[list[float]], temperature: float
) -> None:
    one, other = (torch.tensor([each], dtype=torch.float64) for each in vectors)
    there = log_odds(one, other, temperature=temperature)
    torch.testing.assert_close(there, -log_odds(other, one, temperature=temperature))
    assert float(log_odds(one, one, temperature=temperature)) == pytest.approx(0, abs=1e-9)
    assert float(there.abs()) <= 1 / temperature + 1e-9


def test_the_log_odds_are_the_block_sum_of_the_source() -> None:
    a, b = torch.tensor([[1.0, 2.0, -1.0, 0.5]]), torch.tensor([[0.3, -1.0, 2.0, 1.0]])
    u, v = a[0] / a.norm(), b[0] / b.norm()
    by_hand = (u[0] * v[1] - u[1] * v[0]) + (u[2] * v[3] - u[3] * v[2])
    assert float(log_odds(a, b, temperature=0.5)) == pytest.approx(float(by_hand) / 0.5)
    loss = general_preference(a, b, temperature=0.5, label_smoothing=0.2)
    z = torch.tensor(float(by_hand) / 0.5)
    assert float(loss) == pytest.approx(float(-0.8 * logsigmoid(z) - 0.2 * logsigmoid(-z)))


def test_gradients_are_right_and_finite_at_extremes() -> None:
    torch.manual_seed(0)
    sides = [torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(
        lambda a, b: general_preference(a, b, temperature=0.3, label_smoothing=0.1), sides
    )
    for scale in (1e4, 0.0):
        vectors = [(torch.ones(1, 4) * scale * sign).requires_grad_() for sign in (1, -1)]
        general_preference(*vectors, temperature=0.1, label_smoothing=0.0).sum().backward()
        assert all(bool(each.grad.isfinite().all()) for each in vectors if each.grad is not None)
    far = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    loss_B = bradley_terry(
        far, -far.detach(), torch.zeros(2), label_smoothing=0.0, margin_scale=0.0
    )
    loss_B.sum().backward()
    assert bool(loss_B.isfinite().all())
    assert bool(far.grad.isfinite().all())  # type: ignore[union-attr]
