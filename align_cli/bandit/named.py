"""A bandit by its name and settings: what the gold of a prompt holds, and how it is read again.

    gold = {"bandit": "rare", "settings": {"rare_mass": 0.01, ...}, "context": 0}

Rewards thus travel with the question, as a reference answer does; only who judges reads them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

from align_cli.bandit.instance import Bandit
from align_cli.bandit.instances import poisson_chain, random_linear, rare, with_fillers, zipf
from align_cli.errors import ConfigError

INSTANCES: Final[Mapping[str, Callable[..., Bandit] | str]] = {
    "rare": rare,
    "poisson_chain": poisson_chain,
    "random_linear": random_linear,
    "zipf": zipf,
    "hidden": "align_cli.model.hidden_bandit.hidden",
}
"""{name: what makes it of its settings}; a text is where to find what needs a language model."""


def gold_of(name: str, settings: Mapping[str, Any], context: int) -> str:
    """The instance and the context of a question, as text."""
    return json.dumps({"bandit": name, "settings": dict(settings), "context": context})


def named(name: str, settings: Mapping[str, Any]) -> Bandit:
    """The instance with these settings; `fillers` are added to any."""
    return _named(name, json.dumps(dict(settings), sort_keys=True))


def asked(gold: str | None, who: str) -> tuple[Bandit, int]:
    """The instance and the context of a question; `who` needs it, for the message."""
    found = _asked(gold or "")
    if found is None:
        shown = "no gold" if gold is None else f"the gold {gold[:40]!r}"
        raise ConfigError(
            f"{who} is of bandits, and a prompt with {shown} is no question of one; choose "
            "task=bandit, bandit_chain, bandit_hidden, bandit_random or bandit_zipf"
        )
    return found


def asked_of_all(golds: Sequence[str | None], who: str) -> Bandit:
    """The one instance that all these questions are of."""
    bandits = {id(bandit): bandit for bandit in (asked(gold, who)[0] for gold in golds)}
    if len(bandits) != 1:
        raise ConfigError(f"{who}: the prompts are of {len(bandits)} bandits; wanted one")
    return next(iter(bandits.values()))


@cache
def _asked(gold: str) -> tuple[Bandit, int] | None:
    """None where the text is no question of a bandit."""
    try:
        facts = json.loads(gold)
        name, settings, context = facts["bandit"], facts["settings"], int(facts["context"])
    except (ValueError, TypeError, KeyError):
        return None
    return named(name, settings), context


@cache
def _named(name: str, settings_text: str) -> Bandit:
    settings = json.loads(settings_text)
    fillers = settings.pop("fillers", 0)
    make = INSTANCES[name]
    if isinstance(make, str):
        module, _, function = make.rpartition(".")
        make = getattr(import_module(module), function)
    bandit: Bandit = make(**settings)
    return with_fillers(bandit, fillers) if fillers else bandit
