"""Losses for the lab, bound from conf/loss as a run binds them."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from align_cli.config.build import Component, bind

CONF = Path(__file__).parents[2] / "conf" / "loss"


def component(name: str, **overrides: Any) -> Component:
    node: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    node.pop("defaults", None)
    return bind(node | overrides, group="loss", choice=name).load()
