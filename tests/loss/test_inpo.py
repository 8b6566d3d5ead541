import pytest
import torch
from presets import call, random_batch

from align_cli.errors import ConfigError


def test_with_all_of_eta_on_the_reference_it_is_ipo():
    data = random_batch(0)
    for eta in (0.01, 0.1, 0.5):
        found = call("inpo", data, eta=eta, tau=eta).loss_B
        torch.testing.assert_close(found, call("ipo_sum", data, beta=eta).loss_B)


def test_where_the_round_began_at_the_reference_it_is_ipo():
    data = random_batch(1)
    found = call("inpo", data | {"start_pairs": data["ref_pairs"]}).loss_B
    torch.testing.assert_close(found, call("ipo_sum", data, beta=0.1).loss_B)


def test_the_start_is_a_reference_of_its_own():
    data = random_batch(2)
    moved = call("inpo", data | {"start_pairs": data["pairs"]}).loss_B
    assert not torch.equal(moved, call("inpo", data).loss_B)
    assert not torch.equal(moved, call("inpo", data | {"ref_pairs": data["pairs"]}).loss_B)


def test_the_minimiser_on_a_table_is_the_papers_mirror_step():
    """log pi' = (tau/eta) log ref + (1 - tau/eta) log start + P/eta + constant, P(win) of a pair.

    Each ordered pair of answers is labelled by the judge; the loss's minimum over a table is
    found by gradient descent and compared with the closed form.
    """
    generator = torch.Generator().manual_seed(3)
    reference, start = torch.randn(2, 4, generator=generator, dtype=torch.float64).log_softmax(1)
    score = torch.tensor([0.0, 0.4, -0.3, 0.9], dtype=torch.float64)
    wins = torch.sigmoid(score.unsqueeze(1) - score)
    eta, tau = 1.5, 0.6
    logits = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=200, tolerance_change=1e-16)
    places = torch.tensor([(a, b) for a in range(4) for b in range(4) if a != b]).T

    def loss() -> torch.Tensor:
        from presets import batch

        sides = [logits.log_softmax(0)[place] for place in places]
        ref, entered = ([side[place] for place in places] for side in (reference, start))
        data = batch(*sides, *ref, start=(entered[0], entered[1]))
        loss_B = call("inpo", data, eta=eta, tau=tau).loss_B
        return (wins[places[0], places[1]] * loss_B).sum()

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    optimiser.step(closure)
    # Under uniform answers the regression's target is the difference of mean win rates.
    against = (wins.sum(1) - 0.5) / 4 + 0.5 / 4
    wanted = tau / eta * reference + (1 - tau / eta) * start + against / eta
    torch.testing.assert_close(
        logits.detach().log_softmax(0), wanted.log_softmax(0), rtol=1e-5, atol=1e-6
    )


def test_a_leash_of_more_than_all_is_refused():
    with pytest.raises(ConfigError, match=r"loss.tau: got 0.2, wanted at most loss.eta"):
        call("inpo", random_batch(0), eta=0.1, tau=0.2)
