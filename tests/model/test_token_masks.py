"""Learned masks: open at first, never negative, the same from a seed and from a folder."""

import torch

from align_cli.model.token_masks import TokenMasks

STATES = torch.randn(50, 3, 16, generator=torch.Generator().manual_seed(0))


def test_a_fresh_mask_is_open_and_never_negative():
    masks = TokenMasks(3, 16, seed=7)
    for mask in (masks.reward, masks.kl):
        weights = mask(1e3 * STATES)
        assert weights.shape == (50,)
        assert (weights >= 0).all()
        assert (weights > 0).float().mean() > 0.9
    assert not torch.equal(masks.reward(STATES), masks.kl(STATES))


def test_every_parameter_learns():
    masks = TokenMasks(3, 16, seed=7)
    (masks.reward(STATES) ** 2).sum().backward()
    assert all(each.grad.abs().sum() > 0 for each in masks.reward.parameters())


@torch.no_grad()
def test_a_mask_is_what_its_formula_says():
    mask = TokenMasks(3, 16, seed=1).reward
    token = STATES[4]
    normed = (token - token.mean(-1, keepdim=True)) / token.var(
        -1, keepdim=True, correction=0
    ) ** 0.5
    layers = [max(0.0, float(normed[n] @ mask.weight_LD[n] + mask.bias_L[n])) for n in range(3)]
    wanted = max(0.0, sum(float(c) * each for c, each in zip(mask.mixer_L, layers, strict=True)))
    assert abs(float(mask(STATES)[4]) - wanted) < 1e-4


def test_the_seed_and_the_folder_decide(tmp_path):
    masks, other = TokenMasks(3, 16, seed=2**64 - 1), TokenMasks(3, 16, seed=5)
    assert torch.equal(masks.kl(STATES), TokenMasks(3, 16, seed=2**64 - 1).kl(STATES))
    assert not torch.equal(masks.kl(STATES), other.kl(STATES))
    other.take_up(tmp_path)
    assert not torch.equal(masks.kl(STATES), other.kl(STATES))
    masks.save(tmp_path)
    other.take_up(tmp_path)
    assert torch.equal(masks.kl(STATES), other.kl(STATES))
