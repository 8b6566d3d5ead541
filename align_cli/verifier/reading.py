"""Answers as a trained judge reads them: by its own tokenizer, or not at all."""

from collections.abc import Sequence

from torch import Tensor

from align_cli.model.reward_model import RewardModel
from align_cli.rows import Completion, Prompt


def read_answers(
    model: RewardModel, prompts: Sequence[Prompt], completions: Sequence[Completion]
) -> list[Tensor | str]:
    """[D] logits of every answer to its prompt, or why there are none.

    An answer is read under the original prompt. One that was cut at the token limit has no
    end-of-turn; what is too long for the judge, in characters that its tokenizer does not know, or
    given a score that is not finite stays without logits.
    """
    asked = [
        (prompt.messages, row.text, row.finish == "stop")
        for prompt, row in zip(prompts, completions, strict=True)
    ]
    found = model.encode_all(asked)
    readable = [ids for ids in found if not isinstance(ids, str)]
    rows = iter(model.read(readable))
    return [each if isinstance(each, str) else _finite(next(rows)) for each in found]


def _finite(logits_D: Tensor) -> Tensor | str:
    if bool(logits_D.isfinite().all()):
        return logits_D
    return f"the judge's score is {logits_D.tolist()}"
