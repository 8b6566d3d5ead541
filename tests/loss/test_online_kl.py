"""HyPO: its slope is the KL's, exactly, and without the leash it is the pairwise loss."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from presets import WORDS, call, formula_of, random_batch, settings_of
from torch import Tensor

from align_cli.batches import GroupLogps
from align_cli.config.build import bind
from align_cli.errors import ConfigError, RowError
from align_cli.loss.online_kl import kl_estimate

ANSWERS = 5


def close(found: Tensor, wanted: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def group(logp: Tensor) -> GroupLogps:
    """Answers of one prompt."""
    return GroupLogps(logp, torch.full((len(logp),), 3), torch.zeros(len(logp)).long(), 1)


def softmaxes() -> tuple[Tensor, Tensor]:
    """Logits of a policy over five answers, a leaf, and the log-probs of another."""
    generator = torch.Generator().manual_seed(0)
    logits, other = torch.randn(2, ANSWERS, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), other.log_softmax(0)


@pytest.mark.parametrize("samples", [2, 3])
def test_expected_value_and_slope_are_those_of_the_kl_over_every_draw(samples: int):
    """The expectation is summed over all 5^n draws of n answers: nothing is sampled here."""
    logits, reference = softmaxes()
    logp = logits.log_softmax(0)
    kl = (logp.exp() * (logp - reference)).sum()
    (wanted,) = torch.autograd.grad(kl, logits, retain_graph=True)
    value, slope = 0.0, torch.zeros_like(logits)
    for draw in itertools.product(range(ANSWERS), repeat=samples):
        places = list(draw)
        chance = logp.detach()[places].sum().exp()
        estimate = kl_estimate(group(logp[places]), group(reference[places])).sum()
        value += float(chance * estimate.detach())
        slope += chance * torch.autograd.grad(estimate, logits, retain_graph=True)[0]
    assert value == pytest.approx(float(kl.detach()), abs=1e-12)
    close(slope, wanted)
    assert wanted.abs().max() > 0.05


def test_the_slope_through_the_log_ratio_alone_would_expect_nothing():
    """Why the estimator is what it is: the naive slope averages to zero."""
    logits, reference = softmaxes()
    logp = logits.log_softmax(0)
    naive = (logp.detach().exp() * (logp - reference)).sum()
    (slope,) = torch.autograd.grad(naive, logits)
    close(slope, torch.zeros_like(slope))


def fresh_batch(seed: int, samples: int = 3) -> dict[str, Any]:
    """Six pairs, each with as many fresh answers."""
    data = random_batch(seed, size=6)
    generator = torch.Generator().manual_seed(seed)
    logp = torch.empty(6 * samples, dtype=torch.float64).uniform_(-20, -5, generator=generator)
    shift = torch.empty_like(logp).uniform_(-2, 2, generator=generator)
    owner = torch.arange(6).repeat_interleave(samples)
    length = torch.full((6 * samples,), 9)
    policy = GroupLogps(logp.requires_grad_(), length, owner, 6)
    return data | {"fresh": policy, "ref_fresh": replace(policy, logp_C=logp.detach() + shift)}


@pytest.mark.parametrize("weight", [1e-4, 0.3])
def test_value_and_gradient_are_those_of_the_stated_formula(weight: float):
    data = fresh_batch(0)
    pairs, reference, fresh = data["pairs"], data["ref_pairs"], data["fresh"]
    names: dict[str, Any] = {
        **WORDS, **settings_of("hypo"), "kl_weight": weight,
        "uw": pairs.chosen_B - reference.chosen_B, "ul": pairs.rejected_B - reference.rejected_B,
        "lf": fresh.logp_C.reshape(6, 3), "rf": data["ref_fresh"].logp_C.reshape(6, 3),
        "mean": lambda x: x.mean(-1),
        "others": lambda r: (r.sum(-1, keepdim=True) - r) / 2,
    }  # fmt: skip
    loss, definition = formula_of("hypo").split(";")
    names["r"] = eval(definition.partition("=")[2], {"__builtins__": {}}, names)
    stated = eval(loss, {"__builtins__": {}}, names)
    mine = call("hypo", data, kl_weight=weight).loss_B
    close(mine, stated)
    found, wanted = (
        torch.autograd.grad(each.sum(), fresh.logp_C, retain_graph=True)[0]
        for each in (mine, stated)
    )
    close(found, wanted)
    assert found.abs().max() > 0


def test_without_the_leash_it_is_dpo():
    data = fresh_batch(1)
    close(call("hypo", data, kl_weight=0.0).loss_B, call("dpo", data).loss_B)
    ipo = call("hypo", data, kl_weight=0.0, outer="ipo").loss_B
    close(ipo, call("ipo_sum", data).loss_B)


def test_where_policy_and_reference_agree_the_leash_pulls_nowhere():
    data = fresh_batch(2)
    data["ref_fresh"] = replace(data["fresh"], logp_C=data["fresh"].logp_C.detach())
    held = call("hypo", data, kl_weight=5.0).loss_B
    close(held, call("dpo", data).loss_B)
    assert torch.autograd.grad(held.sum(), data["fresh"].logp_C)[0].abs().max() == 0


def test_pairs_do_not_see_each_other_s_answers():
    data = fresh_batch(3)
    whole = call("hypo", data, kl_weight=0.5).loss_B
    for place in range(6):
        rows = slice(place, place + 1)
        alone = {
            name: type(each)(*[getattr(each, f)[rows] for f in each.__dataclass_fields__])
            for name, each in data.items()
            if name in ("pairs", "ref_pairs")
        }
        for name in ("fresh", "ref_fresh"):
            alone[name] = group(data[name].logp_C[3 * place : 3 * place + 3])
        close(call("hypo", alone, kl_weight=0.5).loss_B, whole[rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_extreme_log_ratios_stay_finite(dtype: torch.dtype):
    logp = torch.tensor([-1e4, 1e4, 0.0, -1e4], dtype=dtype).requires_grad_()
    value = kl_estimate(group(logp), group(torch.zeros(4, dtype=dtype)))
    value.sum().backward()
    assert value.dtype == torch.float32
    assert value.isfinite().all()
    assert logp.grad is not None
    assert logp.grad.isfinite().all()


def test_the_reference_carries_no_gradient_and_nan_is_not_hidden():
    data = fresh_batch(4)
    reference = data["ref_fresh"].logp_C.clone().requires_grad_()
    data["ref_fresh"] = replace(data["ref_fresh"], logp_C=reference)
    call("hypo", data).loss_B.sum().backward()
    assert reference.grad is None
    spoilt = data["fresh"].logp_C.detach().clone()
    spoilt[4] = math.nan
    data["fresh"] = replace(data["fresh"], logp_C=spoilt)
    assert call("hypo", data).loss_B.isnan().tolist() == [False, True, *[False] * 4]


def test_a_single_fresh_answer_has_no_baseline():
    logp = torch.tensor([-3.0, -4.0, -5.0])
    fresh = GroupLogps(logp, torch.tensor([2, 2, 2]), torch.tensor([0, 0, 1]), 2)
    with pytest.raises(RowError, match=r"pairs \[1\] .* fewer than 2 fresh answers"):
        kl_estimate(fresh, fresh)


@pytest.mark.parametrize("setting", [{"fresh_samples": 1}, {"max_new_tokens": 0}])
def test_a_setting_out_of_range_is_refused(setting: dict[str, int]):
    drawn = {"fresh_samples": 2, "max_new_tokens": 64} | setting
    node = {"_target_": "align_cli.loss.online_kl.online_kl", **settings_of("hypo"), **drawn}
    with pytest.raises(ConfigError, match=f"loss.{next(iter(setting))}: got"):
        bind(node, group="loss", choice="hypo")


def test_a_loss_that_does_not_say_how_many_answers_it_wants_is_refused():
    node = {"_target_": "align_cli.loss.online_kl.online_kl", **settings_of("hypo")}
    with pytest.raises(ConfigError, match="fresh_samples"):
        bind(node, group="loss", choice="hypo")
