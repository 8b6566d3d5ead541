"""Every preset of conf/loss as a function, and the formula that its yaml states, evaluated."""

import inspect
import math
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from align_cli.batches import PairLabels, PairLogps, PairLoss
from align_cli.config.offers import loop_settings

CONF = Path(__file__).parents[2] / "conf" / "loss"
ALL = sorted(file.stem for file in CONF.glob("*.yaml"))
Data = dict[str, Any]


def settings_of(name: str) -> dict[str, Any]:
    """The yaml's settings less its target, its other choices and what only the loop reads."""
    settings = dict(yaml_of(name))
    del settings["_target_"]
    settings.pop("defaults", None)
    for setting in loop_settings("loss", needs_of(name)):
        del settings[setting]
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


@cache
def yaml_of(name: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))


@cache
def function_of(name: str) -> Callable[..., PairLoss]:
    module, _, function = yaml_of(name)["_target_"].rpartition(".")
    return getattr(import_module(module), function)


@cache
def couples(name: str) -> bool:
    """Whether the loss declares that its pairs see each other."""
    return getattr(inspect.getmodule(function_of(name)), "COUPLES_PAIRS", False)


@cache
def needs_of(name: str) -> frozenset[str]:
    parameters = inspect.signature(function_of(name)).parameters.values()
    return frozenset(each.name for each in parameters if each.kind is not each.KEYWORD_ONLY)


WHOLE = {"pairs", "ref_pairs", "start_pairs", "pair_labels"}
NAMES = [name for name in ALL if needs_of(name) <= WHOLE]
"""Losses on pairs of whole answers; token_presets and group_presets hold the others."""


def call(name: str, data: Data, **overrides: Any) -> PairLoss:
    """The preset on its share of `data`, at the yaml's settings but for `overrides`."""
    offered = {each: data[each] for each in needs_of(name)}
    return function_of(name)(**offered, **(settings_of(name) | overrides))


def batch(
    chosen: Tensor,
    rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    lengths: tuple[Any, Any] = (20, 23),
    margin: Tensor | None = None,
    start: tuple[Tensor, Tensor] | None = None,
) -> Data:
    """What the loop offers a loss."""
    sides = [torch.as_tensor(one).expand(chosen.shape).clone() for one in lengths]
    return {
        "pairs": PairLogps(chosen, rejected, *sides),
        "ref_pairs": PairLogps(ref_chosen, ref_rejected, *sides),
        "start_pairs": PairLogps(*start, *sides)
        if start
        else PairLogps(ref_chosen, ref_rejected, *sides),
        "pair_labels": scores(torch.ones_like(chosen.float()) if margin is None else margin),
    }


def scores(margin_B: Tensor) -> PairLabels:
    """Labels of pairs whose rejected side scores 0."""
    return PairLabels(margin_B, margin_B, torch.zeros_like(margin_B))


def random_batch(seed: int, size: int = 16, dtype: torch.dtype = torch.float64) -> Data:
    """Log-probs of answers of 5 to 40 tokens, the reference within some nats, scores above 0."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(size, dtype=dtype).uniform_(low, high, generator=generator)

    lengths = [torch.randint(5, 40, (size,), generator=generator) for _ in range(2)]
    policy = [-length * uniform(0.05, 0.6) for length in lengths]
    reference = [side + uniform(-2, 2) for side in policy]
    margin = uniform(0.1, 3)
    start = (policy[0] + uniform(-1, 1), policy[1] + uniform(-1, 1))
    both = (lengths[0], lengths[1])
    return batch(*policy, *reference, lengths=both, margin=margin, start=start)


def formula_of(name: str) -> str:
    """The text after `# loss = ` in the yaml."""
    for line in (CONF / f"{name}.yaml").read_text().splitlines():
        if line.startswith("# loss = "):
            return line.removeprefix("# loss = ")
    raise AssertionError(f"{name}.yaml states no formula")


def formula_value(name: str, data: Data, **overrides: Any) -> Tensor:
    """The stated formula, evaluated as it is printed: the code is not consulted."""
    pairs, reference = data["pairs"], data["ref_pairs"]
    names: dict[str, Any] = {
        "lw": pairs.chosen_B, "ll": pairs.rejected_B,
        "rw": reference.chosen_B, "rl": reference.rejected_B,
        "uw": pairs.chosen_B - reference.chosen_B, "ul": pairs.rejected_B - reference.rejected_B,
        "pw": data["start_pairs"].chosen_B, "pl": data["start_pairs"].rejected_B,
        "nw": pairs.chosen_len_B, "nl": pairs.rejected_len_B, "d": data["pair_labels"].margin_B,
        **(settings_of(name) | overrides),
        **WORDS,
    }  # fmt: skip
    names["madpo_weight"] = lambda h: madpo_weight(h, **(settings_of(name) | overrides))
    loss, *definitions = formula_of(name).split(";")
    for definition in reversed(definitions):
        symbol, _, value = definition.partition("=")
        names[symbol.strip()] = eval(value, {"__builtins__": {}}, names)
    return eval(loss, {"__builtins__": {}}, names)


def madpo_weight(h: Tensor, **given: Any) -> Tensor:
    """As in design notes: one pair at a time, in plain floats."""
    low, high = given["weight_min"], given["weight_max"]
    centre, slope = given["weight_centre"], given["weight_slope"]
    weights = []
    for value in h.tolist():
        odds = (high - 1) / (1 - low) * math.exp(slope * (abs(value) - centre))
        factor = low + (high - low) / (1 + odds)
        raised = (1 + math.exp(-value)) / (1 + math.exp(-factor * value))
        weights.append(raised if value > -centre else 1.0)
    return torch.tensor(weights, dtype=torch.float64)


WORDS: dict[str, Callable[..., Any]] = {
    "logsigmoid": lambda z: -torch.log1p(torch.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + torch.exp(-z)),
    "exp": torch.exp,
    "log": lambda x: torch.log(x) if isinstance(x, Tensor) else math.log(x),
    "relu": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    "odds": lambda x: torch.log(torch.exp(x) / (1 - torch.exp(x))),
    "sort": lambda x: torch.sort(x).values,
    "detach": lambda x: x.detach(),
    "batch_mean": lambda x: x.mean(),
    "clip": lambda x, bound: torch.where(x.abs() > bound, bound * x.sign(), x),
}
