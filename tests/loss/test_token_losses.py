"""Losses on single tokens: their formulas, and what they must not see."""

import math
from dataclasses import replace
from typing import Any

import presets
import pytest
import torch
from presets import Data, formula_of, function_of, settings_of
from token_presets import (
    TOKEN_NAMES,
    at,
    call,
    close,
    formula_value,
    gradients,
    random_tokens,
    with_leaves,
)
from torch import Tensor

from align_cli.batches import PairActivations, PairTokenKLs, PairTokenMasks, PairTokens
from align_cli.config.build import bind
from align_cli.config.signature import signature_of
from align_cli.errors import ConfigError, RowError
from align_cli.loss.token_masks import MASKS, activations
from align_cli.loss.token_weighted import REDUCTIONS
from align_cli.loss.token_weights import WEIGHTINGS

AT_START = {"suffix_ipo": 25.0}
"""Value where policy and reference agree, if it is not log 2."""


def test_there_are_token_losses():
    assert {"tdpo1", "tdpo2", "ld_dpo", "suffix_dpo", "suffix_ipo", "mcts_dpo", "mapo"} <= set(
        TOKEN_NAMES
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_value_and_gradient_are_those_of_the_stated_formula(name: str, seed: int):
    data = random_tokens(seed)
    (mine, found), (stated, wanted) = with_leaves(data), with_leaves(data)
    loss_B, formula_B = call(name, mine).loss_B, formula_value(name, stated)
    close(loss_B, formula_B, 1e-10)
    loss_B.sum().backward()
    formula_B.sum().backward()
    for one, other in zip(found, wanted, strict=True):
        nothing = torch.zeros_like(one)
        close(
            nothing if one.grad is None else one.grad,
            nothing if other.grad is None else other.grad,
            1e-10,
        )


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_every_number_of_a_yaml_moves_the_stated_formula_and_the_loss_alike(name: str):
    data = random_tokens(2)
    for setting, value in settings_of(name).items():
        if not isinstance(value, str):
            other = 0.5 * value or 0.3
            mine = call(name, data, **{setting: other}).loss_B
            close(mine, formula_value(name, data, **{setting: other}), 1e-10)
            assert not torch.equal(mine, call(name, data).loss_B), setting


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_gradient_is_that_of_the_loss(name: str):
    if "detach" in formula_of(name):
        return  # by design not the gradient of the whole value
    data, leaves = with_leaves(random_tokens(3, size=3, width=4))

    def loss_B(*sides: Tensor) -> Tensor:
        return call(name, at(data, sides)).loss_B

    assert torch.autograd.gradcheck(loss_B, leaves)


def at_reference(seed: int) -> Data:
    data = random_tokens(seed)
    zeros = torch.zeros_like(data["token_kls"].chosen_BT)
    return data | {"tokens": data["ref_tokens"], "token_kls": PairTokenKLs(zeros, zeros)}


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_at_the_reference_the_value_is_known_and_chosen_is_raised(name: str):
    data = at_reference(4)
    score_B = torch.full((6,), 3.0, dtype=torch.float64)
    data["pair_labels"] = replace(data["pair_labels"], chosen_score_B=score_B)
    data["pair_labels"] = replace(data["pair_labels"], rejected_score_B=score_B / 2)
    held, leaves = with_leaves(data)
    free = {each: 0.0 for each in settings_of(name) if each.endswith("_sparsity")}
    loss_B = call(name, held, **free).loss_B
    close(loss_B, torch.full_like(loss_B, AT_START.get(name, math.log(2))))
    loss_B.sum().backward()
    chosen, rejected = (leaf.grad for leaf in leaves[:2])
    assert chosen is not None
    assert rejected is not None
    assert (chosen <= 0).all()
    assert (rejected >= 0).all()
    assert (chosen.sum(-1) < 0).all()
    assert (rejected.sum(-1) > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_extreme_log_ratios_stay_finite(name: str, dtype: torch.dtype):
    extremes = torch.tensor([-1e4, -100.0, 0.0, 1e4], dtype=dtype)
    sides = torch.cartesian_prod(extremes, extremes).T[..., None].repeat(1, 1, 3)
    mask = torch.ones(16, 3, dtype=torch.bool)
    shared = torch.ones(16, dtype=torch.int64)
    zeros = torch.zeros(16, 3, dtype=dtype)
    data, leaves = with_leaves(
        {
            "tokens": PairTokens(*sides, mask, mask, shared),
            "ref_tokens": PairTokens(zeros, zeros, mask, mask, shared),
            "token_kls": PairTokenKLs(*sides.abs()),
            "token_masks": PairTokenMasks(*[torch.ones(16, 3, dtype=dtype)] * 4),
            "ref_activations": PairActivations(sides[0, :, :, None], sides[1, :, :, None]),
            "pair_labels": presets.scores(torch.ones(16, dtype=dtype)),
        }
    )
    out = call(name, data)
    out.loss_B.sum().backward()
    assert out.loss_B.dtype == torch.float32
    for each in (out.loss_B, out.chosen_reward_B, out.rejected_reward_B):
        assert torch.isfinite(each).all()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves if leaf.grad is not None)


def rows(data: Data, place: int) -> Data:
    """One pair of the batch."""
    return {
        name: type(each)(
            *[getattr(each, field)[place : place + 1] for field in each.__dataclass_fields__]
        )
        for name, each in data.items()
    }


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_pairs_do_not_see_each_other(name: str):
    data = random_tokens(5)
    together = call(name, data)
    alone = [call(name, rows(data, place)) for place in range(6)]
    for field in ("loss_B", "chosen_reward_B", "rejected_reward_B"):
        close(getattr(together, field), torch.cat([getattr(one, field) for one in alone]))


GARBAGE = [7.5, -1e30, math.nan, math.inf]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_what_is_masked_is_as_good_as_deleted(name: str, garbage: float):
    data = random_tokens(6)
    dirty = {each: spoilt(value, data["tokens"], garbage) for each, value in data.items()}
    clean_out, dirty_out = call(name, data), call(name, dirty)
    assert torch.equal(clean_out.loss_B, dirty_out.loss_B)
    assert torch.equal(clean_out.chosen_reward_B, dirty_out.chosen_reward_B)
    for clean, other in zip(gradients(name, data), gradients(name, dirty), strict=True):
        assert torch.equal(clean, other)
    masks = (data["tokens"].chosen_mask_BT, data["tokens"].rejected_mask_BT)
    for gradient, mask in zip(gradients(name, dirty), masks * 4, strict=True):
        assert (gradient[~mask] == 0).all()


def spoilt(value: Any, tokens: PairTokens, garbage: float) -> Any:
    changed = {}
    for field in value.__dataclass_fields__:
        mask = tokens.chosen_mask_BT if "chosen" in field else tokens.rejected_mask_BT
        side = getattr(value, field)
        if field.endswith("_BT") and side.dtype != torch.bool:
            changed[field] = side.masked_fill(~mask, garbage)
        if field.endswith("_BTL"):
            changed[field] = side.masked_fill(~mask[..., None], garbage)
    return replace(value, **changed)


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_wider_padding_changes_nothing(name: str):
    data = random_tokens(7)
    wide = {each: widened(value) for each, value in data.items()}
    close(call(name, wide).loss_B, call(name, data).loss_B)
    for narrow, other in zip(gradients(name, data), gradients(name, wide), strict=True):
        close(other[:, :9], narrow)


def widened(value: Any) -> Any:
    changed = {}
    for field in value.__dataclass_fields__:
        side = getattr(value, field)
        if side.ndim > 1:
            changed[field] = torch.cat([side, torch.zeros_like(side[:, :3])], 1)
    return replace(value, **changed)


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_rewards_and_reference_carry_no_gradient(name: str):
    data, _ = with_leaves(random_tokens(8))
    reference = data["ref_tokens"]
    held = [side.clone().requires_grad_() for side in (reference.chosen_BT, reference.rejected_BT)]
    data["ref_tokens"] = replace(reference, chosen_BT=held[0], rejected_BT=held[1])
    active = [side.clone().requires_grad_() for side in random_activations(data)]
    data["ref_activations"] = PairActivations(*active)
    out = call(name, data)
    assert not out.chosen_reward_B.requires_grad
    assert not out.rejected_reward_B.requires_grad
    out.loss_B.sum().backward()
    assert all(side.grad is None for side in (*held, *active))


def random_activations(data: Data) -> tuple[Tensor, Tensor]:
    return data["ref_activations"].chosen_BTL, data["ref_activations"].rejected_BTL


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_a_nan_log_prob_is_not_hidden(name: str):
    data = random_tokens(9)
    data["tokens"].chosen_BT[2, 2] = math.nan  # beyond what is shared
    assert bool(call(name, data).loss_B.isnan().any())


def test_an_activation_mask_spans_zero_to_one_and_ignores_shift_and_scale():
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    active = torch.tensor([[1.0, 4.0, 3.0, 99.0], [5.0, 1.0, 1.0, 1.0]])[..., None]
    expected = torch.tensor([[0.0, 1.0, 2 / 3, 0.0], [1.0, 0.0, 0.0, 0.0]])
    close(activations(mask, active), expected, 1e-6)
    close(activations(mask, 3 * active - 7), expected, 1e-6)
    flat = torch.cat([active, torch.full_like(active, 2.0)], -1)
    close(activations(mask, flat)[0], (expected[0] + mask[0]) / 2, 1e-6)


MENUS = {"weighting": WEIGHTINGS, "reduction": REDUCTIONS, "reward_mask": MASKS, "kl_mask": MASKS}


def test_the_menus_are_what_the_signatures_offer():
    for target in ("token_weighted.token_weighted", "sparse.sparse"):
        for setting, described in signature_of(f"align_cli.loss.{target}").settings.items():
            if setting in MENUS:
                assert set(described.kind.choices) == set(MENUS[setting])


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        ("ld_dpo", {"tail_weight": None}, r"tail_weight: weighting=common_length needs"),
        ("ld_dpo", {"decay": 0.5}, r"decay is 0.5, but weighting=common_length.*weighting=decay"),
        ("tdpo1", {"label_smoothing": 0.1}, r"label_smoothing is 0.1.*labels=smoothed"),
        ("suffix_dpo", {"tail_weight": 0.5}, r"tail_weight is 0.5"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(name: str, overrides: dict, said: str):
    with pytest.raises(ConfigError, match=said):
        call(name, random_tokens(0), **overrides)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("ld_dpo", {"tail_weight": 1.5}),
        ("d2po", {"decay": 0.0}),
        ("tdpo2", {"kl_weight": -1.0}),
        ("tdpo2", {"kl_gradient": "chosen"}),
        ("mapo", {"kl_mask": "learned"}),
        ("mcts_dpo", {"beta": 0.0}),
    ],
)
def test_a_setting_out_of_range_is_refused(name: str, overrides: dict):
    function = function_of(name)
    node = {"_target_": f"{function.__module__}.{function.__name__}", **settings_of(name)}
    with pytest.raises(ConfigError, match=f"loss.{next(iter(overrides))}: got"):
        bind(node | overrides, group="loss", choice=name)


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_an_empty_completion_is_named(name: str):
    data = random_tokens(0)
    data["tokens"].rejected_mask_BT[3] = False
    with pytest.raises(RowError, match=r"pairs \[3\] .* empty completion"):
        call(name, data)


def test_a_side_that_is_the_other_s_beginning_has_no_mean():
    data = random_tokens(0)
    data["tokens"].shared_B[2] = data["tokens"].chosen_mask_BT[2].sum()
    with pytest.raises(RowError, match=r"pairs \[2\] .* no token of one side counts"):
        call("suffix_dpo", data, reduction="per_token")
    assert call("suffix_dpo", data).chosen_reward_B[2] == 0


def test_a_score_below_zero_has_no_confidence():
    data = random_tokens(0)
    data["pair_labels"].rejected_score_B[1] = -0.5
    with pytest.raises(RowError, match=r"pairs \[1\] .* score below 0"):
        call("mcts_dpo", data)
