"""The legal root keys of every configuration, as Hydra checks them; groups hold any node."""

from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import MISSING


@dataclass
class Root:
    """Keys that every command has."""

    name: str | None = None
    seed: int = MISSING
    outputs: str = MISSING
    device: str = MISSING
    threads: int | None = None
    plugins: list[str] = field(default_factory=list)
    branch: Any = None
    """{run, round, settings} of a run whose first rounds this one takes over."""


@dataclass
class RunRoot(Root):
    """The root of conf/config.yaml: one field per group of a run."""

    task: Any = MISSING
    policy: Any = MISSING
    engine: Any = MISSING
    sampler: Any = MISSING
    verifier: Any = MISSING
    noise: Any = MISSING
    pairing: Any = MISSING
    filter: Any = MISSING
    loss: Any = MISSING
    schedule: Any = MISSING
    evaluation: Any = MISSING
    tracker: Any = MISSING


@dataclass
class SftRoot(Root):
    """The root of conf/sft.yaml: `train` is a node without choices."""

    task: Any = MISSING
    demonstration: Any = MISSING
    policy: Any = MISSING
    engine: Any = MISSING
    verifier: Any = MISSING
    evaluation: Any = MISSING
    tracker: Any = MISSING
    train: Any = MISSING


@dataclass
class RewardRoot(Root):
    """The root of conf/train_rm.yaml: `train` is a node without choices."""

    preference: Any = MISSING
    policy: Any = MISSING
    objective: Any = MISSING
    tracker: Any = MISSING
    train: Any = MISSING


SCALARS = tuple(each.name for each in fields(Root))


def groups_of(root: type[Root]) -> tuple[str, ...]:
    """The component nodes of a root, in the order of the data."""
    return tuple(each.name for each in fields(root) if each.name not in SCALARS)
