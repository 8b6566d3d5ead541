"""Rows of the pairing stage with the completions they point at, ready to become tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from align_cli.loop.context import Loop
from align_cli.model.language_model import LanguageModel
from align_cli.rows import Completion, Pair, Prompt
from align_cli.train.pair_batches import PairExample, PairTask


@dataclass(frozen=True)
class Drawn:
    """What was drawn and judged in the rounds that are trained on."""

    prompts: Mapping[tuple[int, str], Prompt]
    """{(round, prompt id): prompt}"""
    completions: Mapping[tuple[int, str, int], Completion]
    scores: Mapping[tuple[int, str, int], float | None]

    def tokens(self, *key: int | str) -> tuple[int, ...]:
        """Token ids of completion (round, prompt id, index), as they were sampled."""
        return self.completions[key].token_ids  # type: ignore[index]

    def score(self, number: int, prompt_id: str, index: int) -> float:
        """The score of a judged completion."""
        score = self.scores[number, prompt_id, index]
        assert score is not None, "a pairing rule is only shown what was judged"
        return score

    def encoded(
        self, model: LanguageModel, keys: Sequence[tuple[int, str]]
    ) -> dict[tuple[int, str], tuple[int, ...]]:
        """Token ids of the prompts with these keys, each encoded once."""
        return {key: model.encode_prompt(self.prompts[key].messages) for key in sorted(set(keys))}


@dataclass(frozen=True)
class PairSet:
    """Pairs to train on."""

    unit: ClassVar[str] = "pairs"
    trainer: ClassVar[str] = "align_cli.train.pair_batches.PairTask"
    rows: list[tuple[int, Pair]]
    """(round, pair)"""
    drawn: Drawn
    content: str
    stage_content: str
    """Of the present round's pairs."""

    def examples(self, model: LanguageModel) -> list[PairExample]:
        """Token ids of every pair, both sides under the original prompt."""
        drawn = self.drawn
        prompts = drawn.encoded(model, [(number, pair.prompt_id) for number, pair in self.rows])
        return [
            PairExample(
                prompt_id=pair.prompt_id,
                round=number,
                chosen=pair.chosen,
                rejected=pair.rejected,
                margin=pair.margin,
                chosen_score=drawn.score(number, pair.prompt_id, pair.chosen),
                rejected_score=drawn.score(number, pair.prompt_id, pair.rejected),
                prompt_ids=prompts[number, pair.prompt_id],
                chosen_ids=drawn.tokens(number, pair.prompt_id, pair.chosen),
                rejected_ids=drawn.tokens(number, pair.prompt_id, pair.rejected),
            )
            for number, pair in self.rows
        ]

    def task(
        self, loop: Loop, model: LanguageModel, known: Mapping[str, Sequence[Any]], number: int
    ) -> PairTask:
        """The training of round `number`."""
        loss, plan = loop.parts["loss"], loop.plan
        return PairTask(self.examples(model), known, loss, plan, loop.seed, number)


TrainingSet = PairSet
"""What a round trains on."""
