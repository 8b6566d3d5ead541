"""Pairs of a round as a trained judge reads them."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from align_cli.errors import AlignError
from align_cli.model.reward_model import RewardModel
from align_cli.rows import Completion, Prompt
from align_cli.training_rows import Pair

Answers = Mapping[tuple[str, int], Completion]
"""{(prompt id, index): answer}"""
Sides = tuple[tuple[int, ...], tuple[int, ...]]


def sides_of(
    model: RewardModel,
    pairs: Sequence[Pair],
    answers: Answers,
    prompts: Mapping[str, Prompt],
) -> list[Sides | None]:
    """Token ids of both sides of each pair; None where the judge cannot read one of them."""
    if any(pair.steps is not None for pair in pairs):
        raise AlignError(
            "these pairs compare steps of a search, and a judge of whole answers cannot rank them; "
            "set filter=none, or pair whole answers"
        )
    keys = sorted({(p.prompt_id, i) for p in pairs for i in (p.chosen, p.rejected)})
    rows = [answers[key] for key in keys]
    asked = [(prompts[row.prompt_id].messages, row.text, row.finish == "stop") for row in rows]
    read = dict(zip(keys, model.encode_all(asked), strict=True))
    found: list[Sides | None] = []
    for pair in pairs:
        chosen = read[pair.prompt_id, pair.chosen]
        rejected = read[pair.prompt_id, pair.rejected]
        unread = isinstance(chosen, str) or isinstance(rejected, str)
        found.append(None if unread else (chosen, rejected))  # type: ignore[arg-type]
    return found


def gaps(model: RewardModel, sides: Sequence[Sides]) -> Tensor:
    """[B] log-odds that the chosen answer of each pair is the better one."""
    logits_ND = model.read([ids for pair in sides for ids in pair])
    return model.odds(logits_ND[0::2], logits_ND[1::2])
