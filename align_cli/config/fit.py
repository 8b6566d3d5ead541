"""Whether the pairing rule supplies what the loss trains on: said before anything is drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from align_cli.config.build import Binding
from align_cli.config.folders import choice_files
from align_cli.config.nearest import listed
from align_cli.config.presets import target_of
from align_cli.config.signature import signature_of
from align_cli.config.units import unit_of
from align_cli.errors import ConfigError

UNFILTERED = "none"
"""The one filter that also stands beside a pairing rule that supplies groups."""


def check_fit(bindings: Mapping[str, Binding], folders: Sequence[Path]) -> None:
    """Refuse a loss on groups with a rule that makes pairs, and the other way round."""
    if "loss" not in bindings or "pairing" not in bindings:
        return
    loss, pairing = bindings["loss"], bindings["pairing"]
    kept = bindings.get("filter")
    if pairing.unit == "groups" and kept is not None and kept.choice != UNFILTERED:
        raise ConfigError(
            f"filter={kept.choice} drops pairs, but pairing={pairing.choice} supplies groups; "
            "choose filter=none, or a pairing that supplies pairs"
        )
    if loss.unit == pairing.unit:
        return
    fitting = [f"pairing={name}" for name in supplying(loss.unit, folders)]
    raise ConfigError(
        f"loss={loss.choice} trains on {loss.unit} (it asks for {listed(loss.needs)}), but "
        f"pairing={pairing.choice} supplies {pairing.unit}; choices of pairing that supply "
        f"{loss.unit}: {listed(fitting)}"
    )


def supplying(unit: str, folders: Sequence[Path]) -> list[str]:
    """The choices of pairing, shipped or the user's, that supply pairs or groups."""
    return [name for name, file in choice_files("pairing", folders).items() if _unit(file) == unit]


def _unit(file: Path) -> str:
    """What the yaml's function supplies; an empty text where that cannot be told."""
    target = target_of(file)
    try:
        return "" if target is None else unit_of("pairing", signature_of(target))
    except ConfigError:
        # Another choice's mistake is said when that choice is made.
        return ""
