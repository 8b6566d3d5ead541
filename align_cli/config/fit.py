"""Whether the pairing rule supplies what the loss trains on: said before anything is drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from align_cli.config.build import Binding
from align_cli.config.folders import choice_files
from align_cli.config.named import couples_examples
from align_cli.config.nearest import listed
from align_cli.config.presets import target_of
from align_cli.config.signature import signature_of
from align_cli.config.units import unit_of
from align_cli.errors import ConfigError

STEPS = "align_cli.pairing.sibling_steps.sibling_steps"
RELABELLING = frozenset({"flip", "soften"})
"""What a filter may do to the label of a pair that it keeps."""
SWAPPED = frozenset({"pairs", "ref_pairs", "start_pairs"})
"""What the trainer can offer of a pair the other way round."""
WEIGHING = "align_cli.filter.exact_gradients.exact_gradients"
UNFILTERED = "none"
"""The one filter that also stands beside a pairing rule that supplies groups."""


def check_fit(bindings: Mapping[str, Binding], folders: Sequence[Path]) -> None:
    """Refuse choices that do not fit one another, whatever each of them is by itself.

    A loss on groups with a rule that makes pairs and the other way round; a filter of pairs beside
    groups; features of an embedding that is not named; a rule on steps with a sampler that finds
    none; a rule with fewer draws than it needs.
    """
    if "sampler" in bindings:
        _check_embedding(bindings["sampler"])
        _check_forced(bindings["sampler"], bindings.get("verifier"))
    if "loss" not in bindings or "pairing" not in bindings:
        return
    loss, pairing = bindings["loss"], bindings["pairing"]
    _check_draws(bindings["sampler"], pairing, loss, folders)
    kept = bindings.get("filter")
    if pairing.unit == "groups" and kept is not None and kept.choice != UNFILTERED:
        raise ConfigError(
            f"filter={kept.choice} drops pairs, but pairing={pairing.choice} supplies groups; "
            "choose filter=none, or a pairing that supplies pairs"
        )
    if pairing.target == STEPS and kept is not None and "round_pairs" in kept.needs:
        raise ConfigError(
            f"filter={kept.choice} compares whole answers of a round, but pairing={pairing.choice} "
            "compares steps; choose filter=none, or a pairing of whole answers"
        )
    _check_relabelling(kept, loss)
    _check_weighing(kept, loss)
    if loss.unit == pairing.unit:
        return
    fitting = [f"pairing={name}" for name in supplying(loss.unit, folders)]
    raise ConfigError(
        f"loss={loss.choice} trains on {loss.unit} (it asks for {listed(loss.needs)}), but "
        f"pairing={pairing.choice} supplies {pairing.unit}; choices of pairing that supply "
        f"{loss.unit}: {listed(fitting)}"
    )


def _check_relabelling(kept: Binding | None, loss: Binding) -> None:
    """A label that is turned round or doubted needs a loss that looks at nothing but log-probs."""
    if kept is None or "round_pairs" not in kept.needs or loss.unit != "pairs":
        return
    asked = {value for value in kept.settings.values() if value in RELABELLING}
    asked |= {"soften"} if kept.settings.get("soften") is True else set()
    strange = sorted(set(loss.needs) - SWAPPED)
    if asked and strange:
        raise ConfigError(
            f"filter={kept.choice} may {listed(asked)} labels, and loss={loss.choice} asks for "
            f"{listed(strange)}, which would still tell of the label as it was; choose a loss that "
            f"asks for {listed(SWAPPED)} only, or let the filter keep and drop"
        )


def _check_weighing(kept: Binding | None, loss: Binding) -> None:
    """A weight on a pair means nothing to a loss in which one pair depends on the others."""
    if kept is not None and kept.target == WEIGHING and couples_examples(loss.target):
        raise ConfigError(
            f"filter={kept.choice} weighs each pair by itself, and under loss={loss.choice} the "
            "loss of one depends on the others; choose another loss, or draw pairs"
        )


def _check_draws(
    sampler: Binding, pairing: Binding, loss: Binding, folders: Sequence[Path]
) -> None:
    """What can be told of the draws before any: how many there may be, and whether in steps."""
    if loss.settings.get("believe") == "visits" and pairing.target != STEPS:
        raise ConfigError(
            f"loss.believe=visits reads the visits of steps, but pairing={pairing.choice} compares "
            "whole answers; set pairing=sibling_steps, or loss.believe=scores"
        )
    if pairing.target == STEPS and "step_end" not in sampler.settings:
        finding = [
            f"sampler={name}"
            for name, file in choice_files("sampler", folders).items()
            if "step_end" in _settings(file)
        ]
        raise ConfigError(
            f"pairing={pairing.choice} compares steps, but sampler={sampler.choice} does not say "
            f"what ends one; choices of sampler that do: {listed(finding)}"
        )
    least = int(pairing.settings.get("least_size", 2))
    most = sampler.settings.get("n")
    if isinstance(most, int) and most < least:
        raise ConfigError(
            f"sampler.n={most}: pairing={pairing.choice} needs {least} answers of a prompt to make "
            f"one of its {pairing.unit}, so no round could train; set sampler.n={least} or more"
        )


def _check_forced(sampler: Binding, verifier: Binding | None) -> None:
    """What measures answers by forced ones needs a sampler that draws them."""
    if verifier is not None and "outcome" in verifier.needs and "force" not in sampler.settings:
        raise ConfigError(
            f"verifier={verifier.choice} measures answers by forced ones, which "
            f"sampler={sampler.choice} does not draw; set sampler=forced_stop"
        )


def _settings(file: Path) -> frozenset[str]:
    """The settings of the yaml's function."""
    target = target_of(file)
    try:
        return frozenset() if target is None else frozenset(signature_of(target).settings)
    except ConfigError:
        return frozenset()


def _check_embedding(sampler: Binding) -> None:
    """An embedding is named where features are to be its own, and nowhere else."""
    of, target = (sampler.loop_settings.get(k) for k in ("features_of", "embedding_target"))
    if (of == "embedding") != (target is not None):
        raise ConfigError(
            f"sampler.features_of={of} with sampler.embedding_target={target}: an embedding is "
            "named where features_of=embedding, and only there: "
            "sampler.embedding_target=PACKAGE.MODULE.FUNCTION"
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
