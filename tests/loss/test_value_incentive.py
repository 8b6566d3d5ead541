"""VPO's regulariser against the value that it stands for, on a table of answers."""

import itertools

import pytest
import torch
from presets import batch, call, random_batch
from torch import Tensor

BETA, WEIGHT = 0.3, 0.7


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def regulariser(name: str, chosen: Tensor, rejected: Tensor, ref: tuple[Tensor, Tensor]) -> Tensor:
    """What the preset adds to DPO."""
    data = batch(chosen, rejected, *ref)
    more = {"regulariser_weight": WEIGHT}
    return call(name, data, beta=BETA, **more).loss_B - call("dpo", data, beta=BETA).loss_B


def test_the_sign_is_that_of_the_value():
    """With a reward of mean 0 over the calibrating answers, the best value is -beta mean(u).

    Optimism takes a share of it from the loss, pessimism adds it: minimising then seeks rewards
    under which much, or little, can be reached.
    """
    generator = torch.Generator().manual_seed(0)
    reference = torch.softmax(torch.randn(6, generator=generator, dtype=torch.float64), 0)
    reward = torch.randn(6, generator=generator, dtype=torch.float64)
    reward = reward - reward.mean()  # calibrated on all answers alike
    best = torch.softmax(reference.log() + reward / BETA, 0)
    value = (best * (reward - BETA * (best / reference).log())).sum()
    other = torch.softmax(torch.randn(6, generator=generator, dtype=torch.float64), 0)
    assert value > (other * (reward - BETA * (other / reference).log())).sum()

    places = torch.tensor(list(itertools.permutations(range(6), 2))).T
    sides = [best.log()[place] for place in places]
    ref = (reference.log()[places[0]], reference.log()[places[1]])
    close(regulariser("vpo_online", sides[0], sides[1], ref).mean(), -WEIGHT * value)
    # Over all ordered pairs the chosen answers too are all answers alike.
    close(regulariser("vpo_offline", sides[0], sides[1], ref).mean(), WEIGHT * value)


@pytest.mark.parametrize(
    ("answers", "share"), [("chosen", (1, 0)), ("rejected", (0, 1)), ("both", (0.5, 0.5))]
)
@pytest.mark.parametrize(("sign", "factor"), [("optimism", 1), ("pessimism", -1)])
def test_it_pulls_the_calibrating_answers_and_no_others(
    answers: str, share: tuple[float, float], sign: str, factor: int
):
    data = random_batch(1)
    pairs = data["pairs"]
    for side in (pairs.chosen_B, pairs.rejected_B):
        side.requires_grad_()
    more = {"value_answers": answers, "value_sign": sign, "regulariser_weight": WEIGHT}
    added = call("vpo_online", data, **more).loss_B - call("dpo", data).loss_B
    found = torch.autograd.grad(added.sum(), (pairs.chosen_B, pairs.rejected_B))
    for one, part in zip(found, share, strict=True):
        close(one, torch.full_like(one, factor * part * WEIGHT * 0.1))


def test_offline_with_chosen_answers_is_rpo():
    data = random_batch(2)
    offline = call("vpo_offline", data, regulariser_weight=0.02).loss_B
    rpo = call("rpo", data, regulariser_weight=0.002).loss_B
    # The reference's share is a constant: no gradient, another value.
    close(offline - rpo, 0.002 * data["ref_pairs"].chosen_B)


def test_xpo_is_dpo_and_alpha_log_probs():
    data = random_batch(3)
    added = call("xpo", data, regulariser_weight=1e-4).loss_B - call("dpo", data).loss_B
    ratio = sum(
        getattr(data["pairs"], side) - getattr(data["ref_pairs"], side)
        for side in ("chosen_B", "rejected_B")
    )
    torch.testing.assert_close(added, 1e-5 * ratio / 2, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["sppo_hard", "rebel", "hinge"])
def test_it_is_added_to_any_loss_with_a_reference(name: str):
    data = random_batch(4)
    more = {"regulariser": "value", "regulariser_weight": 0.5, "value_sign": "optimism"}
    added = call(name, data, value_answers="both", **more).loss_B - call(name, data).loss_B
    vpo = call("vpo_online", data, beta=call_beta(name), regulariser_weight=0.5).loss_B
    close(added, vpo - call("dpo", data, beta=call_beta(name)).loss_B)


def call_beta(name: str) -> float:
    from presets import settings_of

    return float(settings_of(name)["beta"])
