"""Every preset on groups is the formula that its yaml states, and refuses what it does not read."""

from typing import Any

import pytest
import torch
from group_presets import GROUP_NAMES, UNPAIRED, at, call, formula_value, random_groups
from presets import function_of, needs_of, settings_of

from align_cli.config.build import bind
from align_cli.config.signature import signature_of
from align_cli.errors import ConfigError, RowError
from align_cli.loss.coordinates import COORDINATES
from align_cli.loss.drive import DRIVES
from align_cli.loss.group_win_rate import TARGETS
from align_cli.loss.links import LINKS
from align_cli.loss.outer import OUTERS
from align_cli.loss.pair_weights import PAIR_WEIGHTS
from align_cli.loss.siblings import REDUCTIONS


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", GROUP_NAMES)
def test_value_and_gradient_are_those_of_the_stated_formula(name: str, seed: int):
    data = random_groups(seed)
    leaves = [data["groups"].logp_C.clone().requires_grad_() for _ in range(2)]
    mine = call(name, at(data, leaves[0])).loss_G
    stated = formula_value(name, at(data, leaves[1]))
    torch.testing.assert_close(mine, stated, rtol=1e-10, atol=1e-10)
    mine.sum().backward()
    stated.sum().backward()
    assert leaves[0].grad is not None
    assert leaves[1].grad is not None
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-9, atol=1e-11)


def test_a_mean_over_no_pair_is_0():
    data = random_groups(0, (3, 2))
    score_C = torch.tensor([1.0, 1.0, 1.0, 0.0, 2.0]).double()
    data = at(data, data["groups"].logp_C, score_C=score_C)
    assert formula_value("all_pairs_dpo", data).isnan().tolist() == [True, False]
    assert call("all_pairs_dpo", data).loss_G[0] == 0


@pytest.mark.parametrize("name", GROUP_NAMES)
def test_every_number_of_a_yaml_moves_the_stated_formula_and_the_loss_alike(name: str):
    data = random_groups(3, (2, 4, 3))
    moved = 0
    for setting, value in settings_of(name).items():
        if isinstance(value, str):
            continue
        other = 0.5 if setting == "exponent_clip" else 0.7 * value
        mine = call(name, data, **{setting: other}).loss_G
        stated = formula_value(name, data, **{setting: other})
        torch.testing.assert_close(mine, stated, rtol=1e-9, atol=1e-9)
        assert not torch.equal(mine, call(name, data).loss_G), setting
        moved += 1
    assert moved


MENUS = {
    "drive": DRIVES, "coordinate": COORDINATES, "target": TARGETS, "link": LINKS, "outer": OUTERS,
    "reduction": REDUCTIONS, "pair_weight": PAIR_WEIGHTS,
}  # fmt: skip


def test_the_menus_are_what_the_signatures_offer():
    seen = set()
    for preset in GROUP_NAMES:
        function = function_of(preset)
        signature = signature_of(f"{function.__module__}.{function.__name__}")
        for setting, described in signature.settings.items():
            if setting in MENUS:
                assert set(described.kind.choices) == set(MENUS[setting]), (preset, setting)
                seen.add(setting)
    assert seen == set(MENUS)


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("coordinate", COORDINATES)
def test_every_drive_goes_with_every_coordinate(drive: str, coordinate: str):
    data = random_groups(4)
    given: dict[str, Any] = {"drive": drive, "coordinate": coordinate, "reduction": "per_token"}
    given["alpha"] = None if drive == "advantage" else 0.4
    given["ratio_temperature"] = 0.5 if drive == "code_softmax" else None
    assert torch.isfinite(call("opo", data, **given).loss_G).all()


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        ("gopo", {"alpha": 0.4}, r"alpha is 0.4, but drive=advantage.*drive=escort"),
        ("opo", {"alpha": None}, r"alpha: drive=escort_length_normalised needs"),
        ("opo", {"exponent_clip": 5.0}, r"reads it: coordinate=ratio, coordinate=bounded_ratio"),
        ("opo_code", {"ratio_temperature": None}, r"ratio_temperature: drive=code_softmax needs"),
        ("spo_win_rate", {"score_scale": 1.0}, r"score_scale is 1.0.*target=probability"),
        ("sppo_group", {"score_scale": None}, r"score_scale: target=probability needs"),
        ("all_pairs_dpo", {"score_scale": 1.0}, r"reads it: pair_weight=lambda"),
        ("lipo", {"ranked_by": None}, r"ranked_by: pair_weight=lambda needs"),
        ("group_rebel", {"alpha": 0.5}, r"alpha is 0.5, but link=reverse_kl"),
        ("tpo_tree", {"label_smoothing": 0.1}, r"label_smoothing is 0.1.*outer=exo"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(name: str, overrides: Any, said: str):
    with pytest.raises(ConfigError, match=said):
        call(name, random_groups(0), **overrides)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("opo", {"mu": 0.0}),
        ("opo", {"alpha": 1.0}),
        ("opo", {"drive": "softmax"}),
        ("opo_code", {"ratio_temperature": 0.0}),
        ("gopo", {"exponent_clip": 31.0}),
        ("gopo", {"coordinate": "clipped"}),
        ("group_distillation", {"score_scale": 0.0}),
        ("kto", {"desirable_weight": -1.0}),
        ("bco_unpaired", {"beta": 0.0}),
        ("listwise_dpo", {"reduction": "mean"}),
        ("lipo", {"ranked_by": "grade"}),
        ("spo_win_rate", {"target": "wins"}),
    ],
)
def test_a_setting_out_of_range_is_refused_before_torch(name: str, overrides: Any):
    function = function_of(name)
    node = {"_target_": f"{function.__module__}.{function.__name__}", **settings_of(name)}
    with pytest.raises(ConfigError, match=f"loss.{next(iter(overrides))}: got"):
        bind(node | overrides, group="loss", choice=name)


def test_a_gain_that_overflows_is_named():
    data = random_groups(5, (2,), torch.float32)
    data["group_labels"].score_C[0] = 200.0
    with pytest.raises(RowError, match=r"score_scale: got 1.0.*overflows at score 200.0.*smaller"):
        call("lipo", data)
    assert torch.isfinite(call("lipo", data, score_scale=0.1).loss_G).all()


@pytest.mark.parametrize("name", GROUP_NAMES)
def test_a_loss_asks_for_what_it_needs(name: str):
    needs = needs_of(name)
    assert {"groups", "group_labels"} <= needs
    assert ("ref_groups" in needs) == (name != "pro")
    assert ("mismatch_logratio_G" in needs) == (name == "kto")
    assert needs.isdisjoint({"pairs", "ref_pairs", "pair_labels"})


@pytest.mark.parametrize("name", sorted(UNPAIRED))
def test_scores_mean_nothing_where_right_and_wrong_do(name: str):
    data = random_groups(6)
    other = at(data, data["groups"].logp_C, score_C=-data["group_labels"].score_C)
    assert torch.equal(call(name, data).loss_G, call(name, other).loss_G)


def test_a_gap_that_is_no_pair_is_not_looked_at():
    """exp(-z) of the reversed pair overflows, and 0 times infinity is no number."""
    data = random_groups(7, (2,), torch.float32)
    score_C = torch.tensor([1.0, 0.0])
    data = at(data, data["ref_groups"].logp_C + torch.tensor([900.0, -900.0]), score_C=score_C)
    loss_G = call("all_pairs_dpo", data, outer="exponential").loss_G
    assert loss_G.tolist() == [0.0]
