"""A trained judge made ready: found, read once a process, and examined before it may label."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean, pstdev
from typing import Literal

import torch

from align_cli.errors import AlignError, ConfigError
from align_cli.model.locate import located
from align_cli.model.probe import read_probe
from align_cli.model.reward_model import RewardModel
from align_cli.rows import Preference
from align_cli.table.pairs import read_pairs

Head = Literal["reward", "preference", "either"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Judge:
    """A model that has passed its examination."""

    model: RewardModel
    mean: float | None
    """Of the rewards of its probe's answers; None without a probe, or without rewards."""
    spread: float | None
    """Their standard deviation."""


def ready(
    path: str,
    revision: str | None,
    *,
    head: Head,
    probe: str | None,
    min_probe_accuracy: float | None,
    device: str,
    group: str,
    say: Say,
) -> Judge:
    """The judge at `path`; the second time it is asked for, as it is in memory.

    It must rank `min_probe_accuracy` of its probe's pairs right, and give finite scores that
    differ; else nothing is labelled and the error says what failed. The probe is a file of pairs,
    or where `probe` is None the pairs that lie beside the weights.
    """
    folder, _ = located(path, revision, group=group)
    state = tuple(
        (file.name, file.stat().st_size, file.stat().st_mtime_ns)
        for file in sorted(folder.iterdir())
        if file.is_file()
    )
    # The name of the setting is for messages only.
    key = (folder.resolve(), state, head, probe, min_probe_accuracy, device, group)
    if key not in _READY:
        model = _loaded(folder, state, device)
        _check_head(model, head, path, group)
        _READY[key] = _examined(model, folder, path, probe, min_probe_accuracy, group, say)
    return _READY[key]


def ready_all(
    paths: Sequence[str],
    *,
    probe: str | None,
    min_probe_accuracy: float | None,
    device: str,
    group: str,
    say: Say,
) -> list[Judge]:
    """Two or more reward models that are asked together, each of them ready."""
    if len(paths) < 2:
        raise ConfigError(f"{group}.paths: got {len(paths)}, wanted two or more reward models")
    return [
        ready(
            path,
            None,
            head="reward",
            probe=probe,
            min_probe_accuracy=min_probe_accuracy,
            device=device,
            group=group,
            say=say,
        )
        for path in paths
    ]


_READY: dict[tuple[object, ...], Judge] = {}


@lru_cache(maxsize=8)
def _loaded(folder: Path, state: tuple[object, ...], device: str) -> RewardModel:
    return RewardModel.load(folder, device=device)


def _check_head(model: RewardModel, head: Head, path: str, group: str) -> None:
    rewards = model.temperature is None
    if rewards and model.outputs != 1:
        raise ConfigError(
            f"{group}.path {path} is a classifier of {model.outputs} labels; wanted one label (a "
            "reward), or a model that `align train-rm objective=general_preference` made"
        )
    if head == "reward" and not rewards:
        raise ConfigError(
            f"{group}.path {path} is a preference model: it compares answers and scores none by "
            "itself; take verifier=preference_model or verifier=win_rate"
        )
    if head == "preference" and rewards:
        raise ConfigError(
            f"{group}.path {path} is a reward model, not a preference model; take "
            "verifier=reward_model, or verifier=win_rate, which takes either"
        )


def _examined(
    model: RewardModel,
    folder: Path,
    path: str,
    probe: str | None,
    least: float | None,
    group: str,
    say: Say,
) -> Judge:
    pairs, recorded = read_probe(folder) if probe is None else (read_pairs(probe), [])
    if not pairs:
        if least is not None:
            raise ConfigError(
                f"{group}.path {path} brings no pairs to examine it by; give "
                f"{group}.probe=PAIRS.jsonl (lines of prompt, chosen, rejected), or "
                f"{group}.min_probe_accuracy=null to label with a judge that is not examined"
            )
        say(f"judge {path}: not examined, as {group}.min_probe_accuracy=null asks")
        return Judge(model, None, None)
    scores, odds = _asked(model, pairs, path)
    values = [value for row in scores.tolist() for value in row]
    if not bool(scores.isfinite().all()):
        raise AlignError(f"judge {path} fails its probe: it gives scores that are not finite")
    if max(values) - min(values) <= 1e-9 * (1 + abs(max(values))):
        raise AlignError(
            f"judge {path} fails its probe: all {len(scores)} answers get the score {values[0]:g}"
        )
    right = sum(0.5 if z == 0 else float(z > 0) for z in odds)
    share = right / len(odds)
    moved = max((abs(a - b) for a, b in zip(odds, recorded, strict=False)), default=None)
    drift = "" if moved is None else f", log-odds within {moved:.2g} of those recorded"
    told = f"{right:g} of {len(odds)} probe pairs ranked right ({share:.1%}){drift}"
    if least is not None and share < least:
        raise AlignError(
            f"judge {path} fails its probe: {told}; {group}.min_probe_accuracy is {least}. Train "
            "it longer or on more pairs, give it pairs of its own task, or lower the bar"
        )
    say(f"judge {path}: {told}")
    if model.temperature is not None:
        return Judge(model, None, None)
    return Judge(model, fmean(values), pstdev(values))


def _asked(
    model: RewardModel, pairs: list[Preference], path: str
) -> tuple[torch.Tensor, list[float]]:
    """Logits of all answers, chosen sides first; log-odds of every pair."""
    chosen = [(pair.messages, pair.chosen, pair.chosen_ended) for pair in pairs]
    rejected = [(pair.messages, pair.rejected, pair.rejected_ended) for pair in pairs]
    sequences: list[tuple[int, ...]] = []
    for pair, ids in zip([*pairs, *pairs], model.encode_all([*chosen, *rejected]), strict=True):
        if isinstance(ids, str):
            raise AlignError(f"judge {path} cannot read its probe, {pair.source}: {ids}")
        sequences.append(ids)
    scores_ND = model.read(sequences)
    odds: list[float] = model.odds(*scores_ND.chunk(2)).tolist()
    return scores_ND, odds
