"""The presets on single tokens: random pairs by token, and the stated formulas evaluated."""

from dataclasses import replace
from typing import Any

import presets
import torch
from presets import ALL, WORDS, Data, formula_of, function_of, needs_of, scores, settings_of
from torch import Tensor

from align_cli.batches import PairActivations, PairLoss, PairTokenKLs, PairTokenMasks, PairTokens

TOKEN_NAMES = [name for name in ALL if "tokens" in needs_of(name)]


def call(name: str, data: Data, **overrides: Any) -> PairLoss:
    offered = {each: data[each] for each in needs_of(name)}
    return function_of(name)(**offered, **(settings_of(name) | overrides))


def random_tokens(
    seed: int, size: int = 6, width: int = 9, dtype: torch.dtype = torch.float64
) -> Data:
    """Pairs of 1 to `width` tokens that share up to two, padded with zeros; all that is offered."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(*shape, dtype=dtype).uniform_(low, high, generator=generator)

    lengths = [torch.randint(3, width + 1, (size, 1), generator=generator) for _ in range(2)]
    lengths[0][0], lengths[1][1] = width, width
    masks = [torch.arange(width) < length for length in lengths]
    policy = [uniform(-3, -0.1, size, width) * mask for mask in masks]
    reference = [
        (side + uniform(-1, 1, size, width)) * mask
        for side, mask in zip(policy, masks, strict=True)
    ]
    shared = torch.randint(0, 3, (size,), generator=generator)
    layers = [uniform(-2, 2, size, width, 3) * mask[..., None] for mask in masks]
    labels = scores(uniform(0.5, 2, size))
    return {
        "tokens": PairTokens(policy[0], policy[1], masks[0], masks[1], shared),
        "ref_tokens": PairTokens(reference[0], reference[1], masks[0], masks[1], shared),
        "token_kls": PairTokenKLs(*[uniform(0, 0.5, size, width) * mask for mask in masks]),
        "ref_activations": PairActivations(*layers),
        "token_masks": PairTokenMasks(
            *[uniform(0, 2, size, width) * mask for mask in (*masks, *masks)]
        ),
        "pair_labels": replace(
            labels,
            chosen_score_B=uniform(0, 5, size),
            rejected_score_B=uniform(0, 5, size),
            chosen_visits_B=torch.randint(1, 9, (size,), generator=generator),
            rejected_visits_B=torch.randint(1, 9, (size,), generator=generator),
        ),
    }


def with_leaves(data: Data) -> tuple[Data, list[Tensor]]:
    """The same data, its log-probs and KLs new leaves of the graph."""
    tokens, kls, masks = data["tokens"], data["token_kls"], data["token_masks"]
    sides = (tokens.chosen_BT, tokens.rejected_BT, kls.chosen_BT, kls.rejected_BT)
    sides += (masks.chosen_reward_BT, masks.rejected_reward_BT)
    sides += (masks.chosen_kl_BT, masks.rejected_kl_BT)
    leaves = [side.detach().clone().requires_grad_() for side in sides]
    return at(data, leaves), leaves


def at(data: Data, leaves: Any) -> Data:
    tokens = replace(data["tokens"], chosen_BT=leaves[0], rejected_BT=leaves[1])
    kls, masks = PairTokenKLs(leaves[2], leaves[3]), PairTokenMasks(*leaves[4:])
    return data | {"tokens": tokens, "token_kls": kls, "token_masks": masks}


def activation_mask(active_BTL: Tensor, mask_BT: Tensor) -> Tensor:
    """z-norm, then rescaling to [0, 1], layer by layer and answer by answer; mean over layers."""
    weights = torch.zeros(mask_BT.shape, dtype=active_BTL.dtype)
    for row, mask_T in enumerate(mask_BT):
        count = int(mask_T.sum())
        of_layers = []
        for layer in range(active_BTL.shape[-1]):
            a = active_BTL[row, :count, layer]
            z = (a - a.mean()) / a.std()
            of_layers.append((z - z.min()) / (z.max() - z.min()))
        weights[row, :count] = torch.stack(of_layers).mean(0)
    return weights


def formula_value(name: str, data: Data, **overrides: Any) -> Tensor:
    """The stated formula, evaluated as it is printed: the code is not consulted."""
    tokens, reference, kls = data["tokens"], data["ref_tokens"], data["token_kls"]
    labels, active = data["pair_labels"], data["ref_activations"]
    weights = data["token_masks"]
    uwt = (tokens.chosen_BT - reference.chosen_BT) * tokens.chosen_mask_BT
    ult = (tokens.rejected_BT - reference.rejected_BT) * tokens.rejected_mask_BT
    masks = {id(active.chosen_BTL): tokens.chosen_mask_BT}
    masks[id(active.rejected_BTL)] = tokens.rejected_mask_BT
    names: dict[str, Any] = {
        "uwt": uwt, "ult": ult, "uw": uwt.sum(-1), "ul": ult.sum(-1),
        "kwt": kls.chosen_BT * tokens.chosen_mask_BT,
        "klt": kls.rejected_BT * tokens.rejected_mask_BT,
        "mw": weights.chosen_reward_BT * tokens.chosen_mask_BT,
        "ml": weights.rejected_reward_BT * tokens.rejected_mask_BT,
        "vw": weights.chosen_kl_BT * tokens.chosen_mask_BT,
        "vl": weights.rejected_kl_BT * tokens.rejected_mask_BT,
        "t": torch.arange(uwt.shape[-1], dtype=uwt.dtype),
        "nw": tokens.chosen_mask_BT.sum(-1, keepdim=True),
        "nl": tokens.rejected_mask_BT.sum(-1, keepdim=True),
        "shared": tokens.shared_B[:, None],
        "qw": labels.chosen_score_B, "ql": labels.rejected_score_B,
        "aw": active.chosen_BTL, "al": active.rejected_BTL,
        "activation_mask": lambda a: activation_mask(a, masks[id(a)]),
        "sum": lambda x: x.sum(-1),
        "where": lambda condition, yes, no: condition * yes + ~condition * no,
        "minimum": lambda x, y: torch.minimum(x, torch.as_tensor(y)),
        "maximum": lambda x, y: torch.maximum(x, torch.as_tensor(y)),
        **(settings_of(name) | overrides),
        **WORDS,
    }  # fmt: skip
    loss, *definitions = formula_of(name).split(";")
    for definition in reversed(definitions):
        symbol, _, value = definition.partition("=")
        names[symbol.strip()] = eval(value, {"__builtins__": {}}, names)
    value: Tensor = eval(loss, {"__builtins__": {}}, names)
    return value


def close(found: Tensor, wanted: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def gradients(name: str, data: Data, **overrides: Any) -> list[Tensor]:
    held, leaves = with_leaves(data)
    call(name, held, **overrides).loss_B.sum().backward()
    return [torch.zeros_like(one) if one.grad is None else one.grad for one in leaves]


def summed(data: Data) -> Data:
    """The same pairs as the losses on whole answers are given them."""
    tokens, reference = data["tokens"], data["ref_tokens"]
    return presets.batch(
        tokens.chosen_BT.sum(-1), tokens.rejected_BT.sum(-1),
        reference.chosen_BT.sum(-1), reference.rejected_BT.sum(-1),
        lengths=(tokens.chosen_mask_BT.sum(-1), tokens.rejected_mask_BT.sum(-1)),
    )  # fmt: skip


def dpo(data: Data, name: str = "dpo", **settings: Any) -> Tensor:
    return presets.call(name, summed(data), **settings).loss_B
