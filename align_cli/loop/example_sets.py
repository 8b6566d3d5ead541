"""Rows of the pairing stage with the completions they point at, ready to become tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from align_cli.loop.context import Loop
from align_cli.model.language_model import LanguageModel
from align_cli.model.token_masks import TokenMasks
from align_cli.rows import Completion, Prompt
from align_cli.train.fresh import NEEDS, Fresh
from align_cli.train.group_batches import GroupExample, GroupTask, Mismatch
from align_cli.train.pair_batches import PairExample, PairTask
from align_cli.training_rows import Group, Pair


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
                p_right=pair.p_right,
                weight=pair.weight,
                prompt_ids=prompts[number, pair.prompt_id],
                messages=drawn.prompts[number, pair.prompt_id].messages,
                **_sides(drawn, number, pair),
            )
            for number, pair in self.rows
        ]

    def task(
        self,
        loop: Loop,
        model: LanguageModel,
        known: Mapping[str, Sequence[Any]],
        reference: LanguageModel | None,
        side: TokenMasks | None,
        number: int,
    ) -> PairTask:
        """The training of round `number`; the reference is there if the loss must ask it."""
        loss, plan = loop.parts["loss"], loop.plan
        fresh = None
        if NEEDS & loss.needs:
            fresh = Fresh.of(loop.parts["engine"], loss.loop_settings, loop.seed, number)
        return PairTask(
            examples=self.examples(model),
            known=known,
            loss=loss,
            plan=plan,
            seed=loop.seed,
            round_number=number,
            wants=loss.needs,
            reference=reference,
            fresh=fresh,
            side=side,
        )


def _sides(drawn: Drawn, number: int, pair: Pair) -> dict[str, Any]:
    """Scores and tokens of both sides: whole answers, or the beginnings that a search compared."""
    chosen_ids = drawn.tokens(number, pair.prompt_id, pair.chosen)
    rejected_ids = drawn.tokens(number, pair.prompt_id, pair.rejected)
    if (steps := pair.steps) is not None:
        return {
            "chosen_score": steps.chosen_value,
            "rejected_score": steps.rejected_value,
            "chosen_ids": chosen_ids[: steps.chosen_tokens],
            "rejected_ids": rejected_ids[: steps.rejected_tokens],
            "visits": (steps.chosen_visits, steps.rejected_visits),
        }
    return {
        "chosen_score": drawn.score(number, pair.prompt_id, pair.chosen),
        "rejected_score": drawn.score(number, pair.prompt_id, pair.rejected),
        "chosen_ids": chosen_ids,
        "rejected_ids": rejected_ids,
    }


@dataclass(frozen=True)
class GroupSet:
    """Groups to train on."""

    unit: ClassVar[str] = "groups"
    trainer: ClassVar[str] = "align_cli.train.group_batches.GroupTask"
    rows: list[tuple[int, Group]]
    """(round, group)"""
    drawn: Drawn
    content: str
    stage_content: str
    """Of the present round's groups."""

    def examples(self, model: LanguageModel) -> list[GroupExample]:
        """Token ids of every member, all under the original prompt."""
        drawn = self.drawn
        prompts = drawn.encoded(model, [(number, group.prompt_id) for number, group in self.rows])
        return [
            GroupExample(
                prompt_id=group.prompt_id,
                round=number,
                indices=group.indices,
                scores=group.scores,
                rights=group.rights,
                prompt_ids=prompts[number, group.prompt_id],
                completion_ids=tuple(
                    drawn.tokens(number, group.prompt_id, index) for index in group.indices
                ),
                mismatch=self._mismatch(place),
            )
            for place, (number, group) in enumerate(self.rows)
        ]

    def _mismatch(self, place: int) -> Mismatch | None:
        """The first completion of the next group that is of another prompt; None if none is.

        The last group is followed by the first, and the order is that of the rows: a group keeps
        its mismatch through all epochs, so its reference log-prob is computed once.
        """
        own, count = self.rows[place][1].prompt_id, len(self.rows)
        for step in range(1, count):
            number, group = self.rows[(place + step) % count]
            if group.prompt_id != own:
                index = group.indices[0]
                return Mismatch(
                    prompt_id=group.prompt_id,
                    round=number,
                    index=index,
                    token_ids=self.drawn.tokens(number, group.prompt_id, index),
                )
        return None

    def task(
        self,
        loop: Loop,
        model: LanguageModel,
        known: Mapping[str, Sequence[Any]],
        reference: LanguageModel | None,
        side: TokenMasks | None,
        number: int,
    ) -> GroupTask:
        """The training of round `number`; no loss on groups asks the reference itself."""
        loss, plan = loop.parts["loss"], loop.plan
        return GroupTask(self.examples(model), known, loss, plan, loop.seed, number)


TrainingSet = PairSet | GroupSet
"""What a round trains on."""
