"""What a round trains on: its own pairs or groups, and those of rounds that are replayed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from align_cli.loop.context import Loop
from align_cli.loop.example_sets import Drawn, GroupSet, PairSet, TrainingSet
from align_cli.loop.sampling import Sampled
from align_cli.rows import Prompt
from align_cli.store import fingerprint
from align_cli.store.stage import Stage
from align_cli.training_rows import Group, Pair


@dataclass(frozen=True)
class RoundData:
    """What one finished labelling leaves for training, now or later."""

    number: int
    prompts: Mapping[str, Prompt]
    sampled: Sampled
    pairs: Stage
    """Stage 4, whatever its rows are."""


def training_set(loop: Loop, rounds: Sequence[RoundData]) -> TrainingSet:
    """The last round's rows, after as many earlier rounds' as `schedule.replay` asks for."""
    kept = _replayed(loop, rounds)
    contents = [[data.number, data.pairs.record.content, data.sampled.content] for data in kept]
    content, newest = fingerprint.of_value(contents), rounds[-1].pairs.record.content
    if loop.parts["pairing"].unit == "groups":
        groups = [(d.number, row) for d in kept for row in d.pairs.read_all("groups", Group)]
        return GroupSet(groups, _drawn(kept), content, newest)
    pairs = [(d.number, row) for d in kept for row in d.pairs.read_all("pairs", Pair)]
    return PairSet(pairs, _drawn(kept), content, newest)


def _drawn(rounds: Sequence[RoundData]) -> Drawn:
    judged = [(data.number, one) for data in rounds for one in data.sampled.judged]
    keys = [(number, one.completion.prompt_id, one.completion.index) for number, one in judged]
    return Drawn(
        prompts={(data.number, key): p for data in rounds for key, p in data.prompts.items()},
        completions={key: one.completion for key, (_, one) in zip(keys, judged, strict=True)},
        scores={key: one.label.score for key, (_, one) in zip(keys, judged, strict=True)},
    )


def _replayed(loop: Loop, rounds: Sequence[RoundData]) -> Sequence[RoundData]:
    if loop.plan.replay == "all":
        return rounds
    if loop.plan.replay == "last_k":
        assert loop.plan.replay_rounds is not None
        return rounds[-1 - loop.plan.replay_rounds :]
    return rounds[-1:]
