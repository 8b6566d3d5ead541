"""The pairs a round trains on: its own, and those of earlier rounds that are replayed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from align_cli.loop.context import Loop
from align_cli.loop.sampling import Sampled
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Completion, Pair, Prompt
from align_cli.store import fingerprint
from align_cli.store.stage import Stage
from align_cli.train.preference import Example


@dataclass(frozen=True)
class RoundData:
    """What one finished labelling leaves for training, now or later."""

    number: int
    prompts: Mapping[str, Prompt]
    sampled: Sampled
    pairs: Stage


@dataclass(frozen=True)
class TrainingSet:
    """Pairs with the completions they point at."""

    rows: list[tuple[int, Pair]]
    """(round, pair)"""
    prompts: Mapping[tuple[int, str], Prompt]
    completions: Mapping[tuple[int, str, int], Completion]
    scores: Mapping[tuple[int, str, int], float | None]
    content: str
    stage_content: str
    """Of the present round's pairs."""

    def examples(self, model: LanguageModel) -> list[Example]:
        """Token ids of every pair, both sides under the original prompt."""
        prompt_ids = {
            key: model.encode_prompt(self.prompts[key].messages)
            for key in sorted({(number, pair.prompt_id) for number, pair in self.rows})
        }
        return [
            Example(
                prompt_id=pair.prompt_id,
                round=number,
                chosen=pair.chosen,
                rejected=pair.rejected,
                margin=pair.margin,
                chosen_score=self._score(number, pair.prompt_id, pair.chosen),
                rejected_score=self._score(number, pair.prompt_id, pair.rejected),
                prompt_ids=prompt_ids[number, pair.prompt_id],
                chosen_ids=self.completions[number, pair.prompt_id, pair.chosen].token_ids,
                rejected_ids=self.completions[number, pair.prompt_id, pair.rejected].token_ids,
            )
            for number, pair in self.rows
        ]

    def _score(self, number: int, prompt_id: str, index: int) -> float:
        score = self.scores[number, prompt_id, index]
        assert score is not None, "a pairing rule is only shown what was judged"
        return score


def training_set(loop: Loop, rounds: Sequence[RoundData]) -> TrainingSet:
    """The last round's pairs, after as many earlier rounds' as `schedule.replay` asks for."""
    kept = _replayed(loop, rounds)
    rows = [(data.number, pair) for data in kept for pair in data.pairs.read_all("pairs", Pair)]
    contents = [[data.number, data.pairs.record.content, data.sampled.content] for data in kept]
    return TrainingSet(
        rows=rows,
        prompts={(data.number, key): p for data in kept for key, p in data.prompts.items()},
        completions={
            (data.number, judged.completion.prompt_id, judged.completion.index): judged.completion
            for data in kept
            for judged in data.sampled.judged
        },
        scores={
            (data.number, judged.label.prompt_id, judged.label.index): judged.label.score
            for data in kept
            for judged in data.sampled.judged
        },
        content=fingerprint.of_value(contents),
        stage_content=rounds[-1].pairs.record.content,
    )


def _replayed(loop: Loop, rounds: Sequence[RoundData]) -> Sequence[RoundData]:
    if loop.plan.replay == "all":
        return rounds
    if loop.plan.replay == "last_k":
        assert loop.plan.replay_rounds is not None
        return rounds[-1 - loop.plan.replay_rounds :]
    return rounds[-1:]
