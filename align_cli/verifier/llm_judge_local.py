"""A transformers model in this process grades each answer by a rubric."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from align_cli.rows import Completion, Label, Prompt
from align_cli.verifier.judge_model import JudgeModel
from align_cli.verifier.llm_judge import Scale, grades
from align_cli.verifier.local_model import LocalModel


def llm_judge_local(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    device: str,
    *,
    path: str,
    revision: str | None,
    rubric: str,
    lowest: Annotated[float, "(-inf, inf)", "score"],
    highest: Annotated[float, "(-inf, inf)", "score"],
    right_from: Annotated[float | None, "(-inf, inf)", "score"],
    show_gold: bool,
    max_tokens: Annotated[int, ">= 1", "tokens"],
    batch_size: Annotated[int, ">= 1", "sequences"],
    cache: str | None,
) -> list[Label]:
    """The score that a causal language model of transformers gives an answer, by a rubric.

        score = the judge's number in [lowest, highest]
        right = score >= right_from, where that is set

    As verifier=llm_judge in all but who is asked: wording, rubric and its version, what counts as
    `malformed` or `refused`. The model is read once, before anything is drawn, and stays in memory
    beside the policy. It answers greedily, and nothing but the wording makes it write JSON, so a
    small model is often `malformed`; a question that does not fit its window is an `error`.

    A chat template that knows no system's turn gets rubric and question in one user's turn.

    Settings:
        path: a transformers folder, or a name on the hub.
        revision: branch, tag or commit of a hub model; null: its main branch, or a folder.
        rubric: by what to judge, in words; changing it judges anew.
        lowest, highest: ends of the scale.
        right_from: least score that is called right; null: the judge only grades.
        show_gold: whether the judge sees the reference answer.
        max_tokens: most tokens of the judge's answer.
        batch_size: questions that are answered together; those of one length can be.
        cache: folder of answers by weights and full question; null: none. Answers that could not
            be read are not kept.
    """
    scale = Scale(lowest, highest, right_from)
    local = LocalModel(path, revision, device, batch_size, None if cache is None else Path(cache))
    judge = JudgeModel(
        ask_all=local.ask_all,
        model=path,
        rubric=rubric,
        task=scale.task,
        schema=scale.schema,
        structured="none",
        temperature=0.0,
        max_tokens=max_tokens,
    )
    return grades(judge, scale, prompts, completions, show_gold)
