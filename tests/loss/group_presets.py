"""The presets on groups: ragged groups to feed them, and their stated formulas, one by one."""

import inspect
import math
from dataclasses import replace
from typing import Any

import torch
from presets import ALL, WORDS, Data, formula_of, function_of, needs_of, settings_of
from torch import Tensor

from align_cli.batches import GroupLabels, GroupLogps, GroupLoss

GROUP_NAMES = [name for name in ALL if "groups" in needs_of(name)]
SIZES = (2, 7, 3, 5, 2, 4, 6)
UNPAIRED = {"kto", "bco_unpaired", "apo_zero_unpaired"}
"""They judge each completion by itself, by right and wrong."""


def couples_groups(name: str) -> bool:
    """Whether the loss declares that its groups see each other."""
    return getattr(inspect.getmodule(function_of(name)), "COUPLES_GROUPS", False)


def call(name: str, data: Data, **overrides: Any) -> GroupLoss:
    """The preset on its share of `data`, at the yaml's settings but for `overrides`."""
    offered = {each: data[each] for each in needs_of(name)}
    function: Any = function_of(name)
    out = function(**offered, **(settings_of(name) | overrides))
    assert isinstance(out, GroupLoss)
    return out


def group_batch(
    logp: Tensor,
    reference: Tensor,
    score: Tensor,
    *,
    sizes: tuple[int, ...],
    length: Any = 20,
    right: Tensor | None = None,
    mismatch: Tensor | None = None,
) -> Data:
    """What the loop offers a loss on groups; right is: at least the middle of all scores."""
    group_C = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    length_C = torch.as_tensor(length).expand(logp.shape).clone()
    if right is None:
        right = score >= (score.max() + score.min()) / 2
    if mismatch is None:
        mismatch = torch.full((len(sizes),), 0.3).to(logp.dtype)
    return {
        "groups": GroupLogps(logp, length_C, group_C, len(sizes)),
        "ref_groups": GroupLogps(reference, length_C, group_C, len(sizes)),
        "group_labels": GroupLabels(score, right),
        "mismatch_logratio_G": mismatch,
    }


def random_groups(
    seed: int, sizes: tuple[int, ...] = SIZES, dtype: torch.dtype = torch.float64
) -> Data:
    """Completions of 5 to 40 tokens, log-ratios within 2 nats, some scores tied, never all."""
    generator = torch.Generator().manual_seed(seed)
    count = sum(sizes)

    def uniform(low: float, high: float, size: int = count) -> Tensor:
        return torch.empty(size, dtype=dtype).uniform_(low, high, generator=generator)

    length = torch.randint(5, 40, (count,), generator=generator)
    logp = -length * uniform(0.05, 0.6)
    score = torch.randint(0, 4, (count,), generator=generator).to(dtype) + uniform(0, 0.1).round()
    first = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    score[(first + 1).clamp(max=count - 1)] = 0.0
    score[first] = 3.0
    return group_batch(
        logp,
        logp + uniform(-2, 2),
        score,
        sizes=sizes,
        length=length,
        right=score >= 2,
        mismatch=uniform(-0.5, 1.5, len(sizes)),
    )


def members(data: Data, group: int) -> Tensor:
    return torch.nonzero(data["groups"].group_C == group)[:, 0]


def one_group(data: Data, group: int) -> Data:
    """The batch of that group alone."""
    return taken(data, members(data, group), [group])


def taken(data: Data, place_C: Tensor, groups: list[int]) -> Data:
    """The completions at `place_C`, those of a group together, as a batch of `groups`."""
    groups_, reference, labels = data["groups"], data["ref_groups"], data["group_labels"]
    sizes = tuple(int((groups_.group_C[place_C] == group).sum()) for group in groups)
    return group_batch(
        groups_.logp_C[place_C],
        reference.logp_C[place_C],
        labels.score_C[place_C],
        sizes=sizes,
        length=groups_.len_C[place_C],
        right=labels.right_C[place_C],
        mismatch=data["mismatch_logratio_G"][torch.tensor(groups)],
    )


def at(data: Data, logp_C: Tensor, **labels: Tensor | None) -> Data:
    """The same batch at other log-probs of the policy, or with other labels."""
    return data | {
        "groups": replace(data["groups"], logp_C=logp_C),
        "group_labels": replace(data["group_labels"], **labels),
    }


def formula_value(name: str, data: Data, **overrides: Any) -> Tensor:
    """The stated formula, evaluated for one group after another as it is printed."""
    words = WORDS | GROUP_WORDS | (settings_of(name) | overrides) | _of_batch(data)
    values = []
    for group in range(data["groups"].groups):
        names: dict[str, Any] = words | _of_group(data, members(data, group))
        loss, *definitions = formula_of(name).split(";")
        for definition in reversed(definitions):
            symbol, _, value = definition.partition("=")
            names[symbol.strip()] = eval(value, {"__builtins__": {}}, names)
        values.append(eval(loss, {"__builtins__": {}}, names))
    return torch.stack(values)


def _of_batch(data: Data) -> dict[str, Any]:
    log_ratio_C = data["groups"].logp_C - data["ref_groups"].logp_C
    right_C = data["group_labels"].right_C
    return {
        "mismatch": data["mismatch_logratio_G"],
        "right_u": log_ratio_C[right_C],
        "wrong_u": log_ratio_C[~right_C],
    }


def _of_group(data: Data, place_K: Tensor) -> dict[str, Any]:
    logp_K, reference_K = data["groups"].logp_C[place_K], data["ref_groups"].logp_C[place_K]
    score_K = data["group_labels"].score_C[place_K]
    by_policy = [
        (float(u), float(s)) for u, s in zip((logp_K - reference_K).detach(), score_K, strict=True)
    ]
    best_K = score_K == score_K.max()
    return {
        "l": logp_K, "r": reference_K, "u": logp_K - reference_K, "s": score_K,
        "n": data["groups"].len_C[place_K], "right": data["group_labels"].right_C[place_K],
        "size": len(place_K), "policy_rank": _ranks(by_policy),
        "score_rank": _ranks([float(s) for s in score_K]),
        "best_mean": lambda value_K: value_K[best_K].mean(),
    }  # fmt: skip


def _ranks(keys: list[Any]) -> Tensor:
    """1 for the largest; equal ones share a rank."""
    return torch.tensor([1.0 + sum(other > key for other in keys) for key in keys]).double()


def _mean_pairs(value_KK: Tensor) -> Tensor:
    size = len(value_KK)
    return torch.stack([value_KK[i, j] for i in range(size) for j in range(i)]).mean()


def _bounded(drive_K: Tensor, mu: float) -> Tensor:
    """The projection by trying every number of completions that are cut, instead of bisection."""
    ordered = sorted(drive_K.tolist(), reverse=True)
    for kept in range(len(ordered), 0, -1):
        # sum over the kept of (g - l) / mu, less 1 for each that is cut, is 0
        multiplier = (sum(ordered[:kept]) - mu * (len(ordered) - kept)) / kept
        if (ordered[kept - 1] - multiplier) / mu >= -1:
            return torch.clamp((drive_K - multiplier) / mu, min=-1)
    raise AssertionError("the largest is never cut")


def _tangent_exp(x: Tensor, clip: float) -> Tensor:
    return torch.where(x > clip, math.exp(clip) * (1 + x - clip), torch.exp(x))


GROUP_WORDS: dict[str, Any] = {
    "mean": torch.mean,
    "batch_mean": torch.mean,
    "sum": torch.sum,
    "abs": torch.abs,
    "sign": torch.sign,
    "log2": torch.log2,
    "where": torch.where,
    "gap": lambda x: x[:, None] - x[None, :],
    "rows": lambda x: x.sum(1),
    "mean_pairs": _mean_pairs,
    "bounded": _bounded,
    "tangent_exp": _tangent_exp,
}
