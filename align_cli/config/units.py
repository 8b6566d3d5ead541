"""What a pairing rule supplies, a loss trains on and a verifier judges, by their signatures."""

import re

from align_cli.config.nearest import listed
from align_cli.config.offers import LOSS_DATA
from align_cli.config.signature import Signature
from align_cli.errors import ConfigError

ROWS = {"Pair": "pairs", "Group": "groups"}
"""{row that a pairing rule returns a list of: what it supplies}"""
JUDGED = ("completions", "siblings")
"""What a verifier asks for: answers one by one, or all answers to a prompt together."""
RETURNED = re.compile(r"\b(?:[lL]ist|Sequence)\[(?:\w+\.)*(\w+)\]")


def unit_of(group: str, signature: Signature) -> str:
    """`pairs` or `groups` for a pairing rule or a loss, `completions` or `siblings` for a verifier.

    An empty text for any other group.
    """
    if group == "pairing":
        return _supplied(signature)
    if group == "verifier":
        return _judged(signature)
    return _wanted(signature) if group == "loss" else ""


def _supplied(signature: Signature) -> str:
    found = {ROWS[row] for row in RETURNED.findall(signature.returns) if row in ROWS}
    if len(found) != 1:
        said = signature.returns or "nothing"
        raise ConfigError(
            f"pairing: {signature.target} says that it returns {said}; annotate its result "
            "`-> list[Pair]` or `-> list[Group]`, so that it can be matched with a loss"
        )
    return found.pop()


def _wanted(signature: Signature) -> str:
    asked = {unit: sorted(data & set(signature.needs)) for unit, data in LOSS_DATA.items()}
    found = [unit for unit, names in asked.items() if names]
    if len(found) > 1:
        both = " and ".join(f"{listed(asked[unit])} ({unit})" for unit in found)
        raise ConfigError(f"loss: {signature.target} asks for {both}; a loss trains on one of them")
    if not found:
        offered = "; ".join(f"{listed(data)} ({unit})" for unit, data in LOSS_DATA.items())
        raise ConfigError(
            f"loss: {signature.target} asks for no data that it could train on; wanted some of "
            f"{offered}"
        )
    return found[0]


def _judged(signature: Signature) -> str:
    found = [name for name in JUDGED if name in signature.needs]
    if len(found) != 1:
        raise ConfigError(
            f"verifier: {signature.target} asks for {listed(signature.needs)}; wanted exactly one "
            "of completions (answers are judged one by one) and siblings (all answers to a prompt "
            "are judged together)"
        )
    return found[0]
