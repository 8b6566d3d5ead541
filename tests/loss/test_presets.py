"""Every preset is the formula that its yaml states, and refuses what it does not read."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from presets import (
    ALL,
    CONF,
    NAMES,
    batch,
    call,
    couples,
    formula_of,
    formula_value,
    function_of,
    needs_of,
    random_batch,
    settings_of,
)

from align_cli.batches import PairLogps
from align_cli.config.build import bind
from align_cli.config.kinds import Kind
from align_cli.config.signature import signature_of
from align_cli.errors import ConfigError, RowError
from align_cli.loss.labels import LABELS
from align_cli.loss.links import LINKS
from align_cli.loss.offset import OFFSETS
from align_cli.loss.outer import OUTERS
from align_cli.loss.reduction import REDUCTIONS
from align_cli.loss.regularisers import REGULARISERS
from align_cli.loss.scores import SCORES
from align_cli.loss.two_sided import SIDES
from align_cli.loss.weight import WEIGHTS


def test_there_are_many():
    assert len(ALL) >= 45


@pytest.mark.parametrize("name", ALL)
def test_a_yaml_names_its_source(name: str):
    second = (CONF / f"{name}.yaml").read_text().splitlines()[1]
    assert second.startswith("# Source: ")
    assert "arXiv:" in second or name in ("cdpo", "sft")


def with_gradients(data: dict[str, Any]) -> list[torch.Tensor]:
    pairs = data["pairs"]
    return [side.detach().clone().requires_grad_() for side in (pairs.chosen_B, pairs.rejected_B)]


def at(data: dict[str, Any], sides: list[torch.Tensor]) -> dict[str, Any]:
    pairs, reference = data["pairs"], data["ref_pairs"]
    return batch(
        sides[0],
        sides[1],
        reference.chosen_B,
        reference.rejected_B,
        lengths=(pairs.chosen_len_B, pairs.rejected_len_B),
        margin=data["pair_labels"].margin_B,
        start=(data["start_pairs"].chosen_B, data["start_pairs"].rejected_B),
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_value_and_gradient_are_those_of_the_stated_formula(name: str, seed: int):
    data = random_batch(seed)
    found, wanted = with_gradients(data), with_gradients(data)
    mine, stated = call(name, at(data, found)).loss_B, formula_value(name, at(data, wanted))
    if couples(name):
        mine, stated = mine.sort().values, stated.sort().values
    torch.testing.assert_close(mine, stated, rtol=1e-10, atol=1e-10)
    mine.sum().backward()
    stated.sum().backward()
    for one, other in zip(found, wanted, strict=True):
        other_grad = torch.zeros_like(other) if other.grad is None else other.grad
        one_grad = torch.zeros_like(one) if one.grad is None else one.grad
        torch.testing.assert_close(one_grad, other_grad, rtol=1e-8, atol=1e-10)


SWITCHES = {
    "label_smoothing": 0.2, "beta": 0.7, "exponent_clip": 30.0, "regulariser_weight": 0.3,
    "weight_max": 3.0, "margin_clip": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_yaml_moves_the_stated_formula_and_the_loss_alike(name: str):
    data = random_batch(2)
    for setting, value in settings_of(name).items():
        if isinstance(value, str):
            continue
        other = SWITCHES.get(setting, 0.5 * value)
        mine = call(name, data, **{setting: other}).loss_B
        stated = formula_value(name, data, **{setting: other})
        if couples(name):
            mine, stated = mine.sort().values, stated.sort().values
        torch.testing.assert_close(mine, stated, rtol=1e-9, atol=1e-9)
        if setting != "exponent_clip":
            assert not torch.equal(mine, call(name, data).loss_B), setting


MENUS = {
    "link": LINKS, "reduction": REDUCTIONS, "offset": OFFSETS, "outer": OUTERS, "labels": LABELS,
    "weight": WEIGHTS, "regulariser": REGULARISERS, "scores": SCORES, "sides": SIDES,
}  # fmt: skip


def test_the_menus_are_what_the_signatures_offer():
    for preset in NAMES:
        function = function_of(preset)
        signature = signature_of(f"{function.__module__}.{function.__name__}")
        for setting, described in signature.settings.items():
            if setting in MENUS:
                assert set(described.kind.choices) <= set(MENUS[setting]), (preset, setting)


def test_the_widest_loss_offers_every_part():
    signature = signature_of("align_cli.loss.pairwise.pairwise")
    for setting in ("link", "reduction", "offset", "outer", "labels", "weight", "regulariser"):
        assert set(signature.settings[setting].kind.choices) == set(MENUS[setting])
    scored = signature_of("align_cli.loss.scored.scored").settings
    assert set(scored["scores"].kind.choices) == set(SCORES)
    assert set(scored["regulariser"].kind.choices) == set(REGULARISERS)


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        ("dpo", {"exponent_clip": 50.0}, r"exponent_clip is 50.0.*link=forward_kl.*link=squared"),
        ("dpo", {"labels": "hard"}, r"label_smoothing is 0.0.*labels=smoothed"),
        ("dpo", {"labels": "robust", "label_smoothing": None}, r"flip_rate: labels=robust needs"),
        ("dpo", {"alpha": 0.5}, r"alpha is 0.5, but link=reverse_kl.*link=alpha"),
        ("dpo", {"regulariser": "nll"}, r"regulariser_weight: regulariser=nll needs"),
        ("dpo", {"regulariser_weight": 0.5}, r"reads it: .*regulariser=nll"),
        ("squaredpo", {"link": "reverse_kl"}, r"exponent_clip is 50.0"),
        ("exo_pair", {"label_smoothing": 0.0}, r"outer=exo wanted above 0"),
        ("madpo", {"weight_min": None}, r"weight_min: scores=adaptive_weight needs"),
        ("simpo", {"alpha": 0.5}, r"alpha is 0.5, but score=log_prob.*score=power"),
        ("nca_pair", {"regulariser_weight": 0.5}, r"regulariser_weight is 0.5"),
        ("vpo_online", {"value_sign": None}, r"value_sign: regulariser=value needs"),
        ("dpo", {"value_answers": "both"}, r"value_answers is both.*regulariser=value"),
        ("dpo", {"link": "user"}, r"f_target: link=user needs"),
        ("dpo", {"f_target": "a.b"}, r"f_target is a.b.*link=user"),
        ("f_po", {"divergence": "jeffreys"}, r"alpha is 0.5.*divergence=alpha"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(name: str, overrides: dict, said: str):
    with pytest.raises(ConfigError, match=said):
        call(name, random_batch(0), **overrides)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("dpo", {"beta": 0.0}),
        ("dpo", {"label_smoothing": 0.5}),
        ("robust_dpo", {"flip_rate": -0.1}),
        ("squaredpo", {"exponent_clip": 81.0}),
        ("alpha_dpo", {"alpha": 0.0}),
        ("discopop", {"modulation_tau": 2.0}),
        ("modpo", {"objective_weight": 0.0}),
        ("madpo", {"weight_max": 1.0}),
        ("dpo", {"link": "squard"}),
        ("dpo", {"outer": "logit"}),
        ("sppo_hard", {"sides": "kto"}),
        ("rebel", {"score_scale": 0.0}),
    ],
)
def test_a_setting_out_of_range_is_refused_before_torch(name: str, overrides: dict):
    function = function_of(name)
    node = {"_target_": f"{function.__module__}.{function.__name__}", **settings_of(name)}
    with pytest.raises(ConfigError, match=f"loss.{next(iter(overrides))}: got"):
        bind(node | overrides, group="loss", choice=name)


def beyond(kind: Kind) -> list[float]:
    """Numbers on either side of what a setting admits."""
    ranges = [*kind.ranges, *(limit for part in kind.parts for limit in part.ranges)]
    tried = [-1e9, -1.0, 0.0, 0.5, 1.0, 1e9]
    return [value for value in tried if any(value not in limit for limit in ranges)]


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_with_a_range_is_held_to_it(name: str):
    function = function_of(name)
    target = f"{function.__module__}.{function.__name__}"
    node = {"_target_": target, **settings_of(name)}
    held = 0
    for setting, described in signature_of(target).settings.items():
        for value in beyond(described.kind):
            with pytest.raises(ConfigError, match=rf"^loss.{setting}: got {value!r}, wanted"):
                bind(node | {setting: value}, group="loss", choice=name)
            held += 1
    assert held or name == "sft"


LENGTHS_MATTER = [name for name in NAMES if re.search(r"\bn[wl]\b", formula_of(name))]
PARTS = ("reduction=per_token", "regulariser=nll_per_token", "weight=policy_probability")


@pytest.mark.parametrize("name", LENGTHS_MATTER)
def test_an_empty_completion_is_named_with_the_part_that_minds(name: str):
    sides = torch.full((4, 3), -5.0)
    data = batch(*sides, lengths=(torch.tensor([3, 0, 2]), torch.tensor([3, 0, 2])))
    minds = "|".join(
        part for part in PARTS if settings_of(name).get(part.split("=")[0]) == part.split("=")[1]
    )
    with pytest.raises(RowError, match=rf"^loss.({minds}): pairs \[1\] .* empty completion"):
        call(name, data)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LENGTHS_MATTER])
def test_other_losses_do_not_look_at_lengths(name: str):
    data = random_batch(0, size=3)
    zeros = torch.zeros(3, dtype=torch.int64)
    emptied = {
        key: replace(value, chosen_len_B=zeros, rejected_len_B=zeros)
        if isinstance(value, PairLogps)
        else value
        for key, value in data.items()
    }
    assert torch.equal(call(name, emptied).loss_B, call(name, data).loss_B)


def test_a_score_that_has_no_logarithm_is_named():
    data = random_batch(0, size=3)
    data["pair_labels"].margin_B[1] = 0.0
    with pytest.raises(RowError, match=r"pairs \[1\] .* no logarithm"):
        call("odpo", data)


@pytest.mark.parametrize("name", NAMES)
def test_a_nan_log_prob_shows_in_its_own_pair_and_no_other(name: str):
    data = random_batch(0, size=4)
    data["pairs"].chosen_B[2] = math.nan
    assert call(name, data).loss_B.isnan().tolist() == [False, False, True, False]


REFERENCE_FREE = {"simpo", "cpo", "cpo_simpo", "orpo", "alphapo", "slic", "sft"}


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_asks_for_what_it_needs(name: str):
    needs = needs_of(name)
    assert ("ref_pairs" in needs) == (name not in REFERENCE_FREE)
    assert ("pair_labels" in needs) == any(
        word in formula_of(name).replace("(", " ").replace(")", " ").split() for word in ("d",)
    )
